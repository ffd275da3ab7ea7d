"""A Keras batch normalization that trains like PyTorch's: the same outputs, the
same running statistics.

    running <- (1 - momentum) running + momentum of the batch
    variance with the divisor N - 1
    eps = 1e-5

keras.layers.BatchNormalization calls 1 - momentum `momentum`, has epsilon =
1e-3, and stores the variance with the divisor N. Trained layers come over by
`load_pytorch`.
Needs Python 3.10 and Keras 3.9, or newer.
Source: documentation of torch.nn.BatchNorm1d and of
keras.layers.BatchNormalization.
"""

import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="well_initialized")
class BatchNormLikePyTorch(keras.layers.BatchNormalization):
    """`momentum`: weight of the new value; `eps`: added to the variance;
    `axis`: that of the channels, -1 in Keras.
    """

    def __init__(
        self, momentum: float = 0.1, eps: float = 1e-5, axis: int = -1, **settings
    ) -> None:
        for name in ("synchronized", "renorm"):
            if settings.get(name):
                raise ValueError(
                    f"{name} must be False, got {settings[name]!r}: PyTorch's layer has no such option"
                )
        momentum = float(momentum + 0.0)  # text is no number
        eps = float(eps + 0.0)  # text is no number
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
        if not 0.0 <= eps < math.inf:
            raise ValueError(f"eps must be finite and not negative, got {eps}")
        if not isinstance(axis, int | np.integer):
            raise ValueError(f"axis must be an integer, got {axis!r}")
        super().__init__(axis=axis, momentum=1.0 - momentum, epsilon=eps, **settings)

    def build(self, input_shape) -> None:
        """Make the variables, for inputs of `input_shape`, two or more axes."""
        # a dict or a list of tensors has shapes as its entries
        sizes = [size for size in input_shape if isinstance(size, int | None)]
        if len(sizes) < 2 or len(sizes) < len(input_shape):
            raise ValueError(
                f"x must be a tensor of two or more axes, got shape {tuple(input_shape)}"
            )
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"axis must be one of shape {tuple(input_shape)}, got {self.axis}"
            )
        super().build(input_shape)

    def call(self, x, training=None, mask=None):
        """Normalize `x`, with the statistics of the batch if `training` and the
        layer is trainable. What `mask`, of the shape of `x` without its last
        axis, hides does not count.

        ValueError if these would be statistics of one value per channel. Where
        a compiled step does not know the size of a batch, as in TensorFlow, or
        a mask hides the others, the moving statistics stay as they are.
        """
        dtype = keras.backend.standardize_dtype(x.dtype)
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(f"x must be floating, got {dtype}")
        if not (training and self.trainable):
            return super().call(x, training=False)
        positions = [
            size
            for axis, size in enumerate(x.shape)
            if axis != self.axis % len(x.shape)
        ]
        if None not in positions and math.prod(positions) < 2:
            raise ValueError(
                f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}"
            )
        mean, before = ops.copy(self.moving_mean), ops.copy(self.moving_variance)
        y = super().call(x, training=True, mask=mask)
        # What this batch added to the moving variance has the divisor N: add 1
        # / (N - 1) of it.
        added = self.moving_variance - self.momentum * before
        if mask is None:
            count = ops.cast(ops.size(x) / ops.shape(x)[self.axis], added.dtype)
        else:
            shown = ops.broadcast_to(
                ops.expand_dims(ops.cast(mask, added.dtype), -1), ops.shape(x)
            )
            count = ops.sum(shown) / ops.cast(ops.shape(x)[self.axis], added.dtype)
        enough = count > 1.5
        moved = ops.convert_to_tensor(self.moving_mean)  # JAX takes no variable here
        self.moving_mean.assign(ops.where(enough, moved, mean))
        new = self.moving_variance + added / ops.maximum(count - 1.0, 1.0)
        self.moving_variance.assign(ops.where(enough, new, before))
        return y

    def load_pytorch(self, weight, bias, running_mean, running_var) -> None:
        """Copy what `torch.nn.BatchNorm` holds under these names, each of shape
        (n,); the layer must be built. ValueError for another shape, and nothing
        is copied.
        """
        if not self.built or not (self.scale and self.center):
            raise ValueError(
                f"weight and bias must have their place: build a layer with scale and center first, got {self!r}"
            )
        given = {"weight": weight, "bias": bias}
        given |= {"running_mean": running_mean, "running_var": running_var}
        for name, values in given.items():
            array = np.asarray(values)
            if array.shape != self.moving_mean.shape or array.dtype.kind not in "fiub":
                raise ValueError(
                    f"{name} must be real, of shape {self.moving_mean.shape}, got {array.dtype} {array.shape}"
                )
        self.set_weights([np.asarray(values) for values in given.values()])

    def get_config(self) -> dict:
        """What rebuilds this layer."""
        config = super().get_config()
        eps, momentum = config.pop("epsilon"), config.pop("momentum")
        # 1 - 0.7 is 0.30000000000000004
        return config | {"momentum": round(1.0 - momentum, 15), "eps": eps}
