"""Kinds of operations of TensorFlow, and of layers."""

from keras import layers

_SHAPES = ("Reshape", "Squeeze", "ExpandDims", "Identity", "Cast")
"""Operations that change no number."""

_CHOICES = (
    *("StridedSlice", "GatherV2", "GatherNd", "ConcatV2", "Pack"),
    *("Max", "Min", "Maximum", "Minimum"),
)
"""Operations that take some of the numbers."""

_SUMMING = (*_SHAPES, "AddV2", "Sub", "Sum", "Mean", "Mul", "StridedSlice", "Transpose")
"""What an overlap is made of."""

_SIGNS = (*_SHAPES, "Abs", "Neg", "Select", "SelectV2")
"""What a loss of logits does with them first."""

_GROWN = ("Exp", "Softplus")
"""Operations that make a variance."""

_PRODUCTS = ("BatchMatMulV2", "BatchMatMulV3", "Einsum")

_SCALINGS = (*_SHAPES, "AddV2", "Mul", "RealDiv", "SelectV2", "Sub", "Transpose")
"""What stands between the products of an attention and its softmax."""

_REGRESSIONS = (
    *("mean_squared_error", "mean_absolute_error"),
    *("huber_loss", "huber", "log_cosh"),
)

_CUTS = ("StopGradient", "ArgMax", "ArgMin", "Ceil", "Floor", "Rint", "Round")
"""Operations without a way back."""

_COMPARISONS = ("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual")
"""Others, which stand beside most ways as masks."""

_LOGITS = {
    "SparseSoftmaxCrossEntropyWithLogits": "sparse_categorical_crossentropy",
    "SoftmaxCrossEntropyWithLogits": "categorical_crossentropy",
}
"""Losses of TensorFlow, and those of Keras that compute the same."""

_OF_POLICY = ("Log", "LogSoftmax", *_LOGITS)
"""What makes a log-probability, or its negative."""

_DROPOUTS = (
    *(layers.AlphaDropout, layers.Dropout, layers.GaussianDropout),
    *(layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
)
