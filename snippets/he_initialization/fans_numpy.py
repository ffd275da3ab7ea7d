"""How many inputs feed one output unit: the true fans of linear and
convolutional layers, and what frameworks report.

    fan_in  = inputs / groups * prod(kernel)
              summands in one output value
    fan_out = outputs / groups * prod(kernel) / prod(stride)
              output values that one input value feeds

A transposed convolution runs this backwards: the stride divides its `fan_in`
instead. A layer without a kernel is linear; `groups` = `inputs` is depthwise.
The counts hold away from the borders, where padding takes summands away, and
dividing by the stride gives the average over positions: an integer at each one
only if the stride divides the kernel. Frameworks read the fans off the weight's
shape alone, so they know neither stride nor layer.
Needs Python 3.10 and NumPy 1.26, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers", section
2.2, for the counts without stride and groups; Dumoulin & Visin (2016), "A guide
to convolution arithmetic for deep learning", for strides.
"""

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple


class Fans(NamedTuple):
    """Connections per unit; fractions are averages over positions."""

    fan_in: float
    fan_out: float


def true_fans(
    inputs: int,
    outputs: int,
    kernel: Sequence[int] = (),
    stride: Sequence[int] = (),
    groups: int = 1,
    transposed: bool = False,
) -> Fans:
    """Fans counted in the layer itself, for `inputs` and `outputs` channels (or
    features of a linear layer).
    """
    given = f"{inputs=}, {outputs=}, {kernel=}, {stride=}, {groups=}"
    try:
        # Python's integers: those of NumPy would overflow
        inputs, outputs, groups = map(operator.index, (inputs, outputs, groups))
        kernel, stride = (
            tuple(map(operator.index, sizes)) for sizes in (kernel, stride)
        )
    except TypeError:
        inputs, outputs, groups, kernel, stride = 0, 0, 0, (), ()
    if min(inputs, outputs, groups, *kernel, *stride) < 1:
        raise ValueError(
            f"inputs, outputs, kernel, stride and groups must be integers from 1 on, got {given}"
        )
    if len(stride) not in (0, len(kernel)):
        raise ValueError(
            f"stride must have one entry for each of kernel, or none, got {stride=}, {kernel=}"
        )
    if inputs % groups or outputs % groups:
        raise ValueError(
            f"groups must divide inputs and outputs, got {groups=}, {inputs=}, {outputs=}"
        )
    taps, thinned = math.prod(kernel), math.prod(kernel) / math.prod(stride)
    into, out_of = (thinned, taps) if transposed else (taps, thinned)
    return Fans(inputs // groups * into, outputs // groups * out_of)


def pytorch_fans(shape: Sequence[int]) -> Fans:
    """Fans that torch.nn.init reads off a weight.

    Linear (out, in); Conv (out, in/groups, *kernel); ConvTranspose (in,
    out/groups, *kernel), taken for a Conv.
    """
    outputs, inputs, *taps = _sizes(shape)
    return Fans(inputs * math.prod(taps), outputs * math.prod(taps))


def keras_fans(shape: Sequence[int]) -> Fans:
    """Fans that keras.initializers reads off a kernel.

    Dense (in, out); Conv (*kernel, in/groups, out); ConvTranspose (*kernel,
    out, in) and
    DepthwiseConv (*kernel, in, multiplier), both taken for a Conv.
    """
    *taps, inputs, outputs = _sizes(shape)
    return Fans(inputs * math.prod(taps), outputs * math.prod(taps))


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """As Python's integers: those of NumPy would overflow."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) < 2 or min(sizes) < 0:
        raise ValueError(
            f"shape must be 2 or more numbers, integers from 0 on, got {shape}"
        )
    return sizes
