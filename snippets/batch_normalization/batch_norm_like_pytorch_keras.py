"""A Keras batch normalization that trains like PyTorch's: the same outputs, the
same running statistics.

    running <- (1 - momentum) running + momentum of the batch
    variance with the divisor N - 1
    eps = 1e-5

keras.layers.BatchNormalization calls 1 - momentum `momentum`, has epsilon =
1e-3, and stores the variance with the divisor N. Trained layers come over by
`load_pytorch`.
Source: documentation of torch.nn.BatchNorm1d and of
keras.layers.BatchNormalization.
"""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="well_initialized")
class BatchNormLikePyTorch(keras.layers.BatchNormalization):
    """`momentum`: weight of the new value; `eps`: added to the variance;
    `axis`: that of the channels, -1 in Keras.
    """

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5, axis: int = -1, **settings) -> None:
        super().__init__(axis=axis, momentum=1.0 - momentum, epsilon=eps, **settings)

    def call(self, x, training=None):
        """Normalize `x`, with the statistics of the batch if `training` and the
        layer is trainable.

        ValueError if these would be statistics of one value per channel.
        """
        if not (training and self.trainable):
            return super().call(x, training=False)
        positions = [size for axis, size in enumerate(x.shape) if axis != self.axis % len(x.shape)]
        if None not in positions and math.prod(positions) < 2:
            raise ValueError(f"x must hold at least 2 values per channel in training, got shape {tuple(x.shape)}")
        before = ops.copy(self.moving_variance)
        y = super().call(x, training=True)
        # What this batch added to the moving variance has the divisor N: add 1
        # / (N - 1) of it.
        added = self.moving_variance - self.momentum * before
        count = ops.size(x) / ops.shape(x)[self.axis]
        self.moving_variance.assign_add(added / ops.cast(count - 1, added.dtype))
        return y

    def load_pytorch(self, weight, bias, running_mean, running_var) -> None:
        """Copy what `torch.nn.BatchNorm` holds under these names, each of shape
        (n,); the layer must be built.
        """
        self.set_weights([weight, bias, running_mean, running_var])

    def get_config(self) -> dict:
        """What rebuilds this layer."""
        config = super().get_config()
        eps, momentum = config.pop("epsilon"), config.pop("momentum")
        return config | {"momentum": 1.0 - momentum, "eps": eps}
