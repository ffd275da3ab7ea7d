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

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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
    every = (inputs, outputs, groups, *kernel, *stride)
    if not all(size >= 1 and size % 1 == 0 for size in every):
        raise ValueError(
            "inputs, outputs, kernel, stride and groups must be integers from 1 on, "
            f"got {inputs=}, {outputs=}, {kernel=}, {stride=}, {groups=}"
        )
    if len(stride) not in (0, len(kernel)):
        raise ValueError(
            f"stride must have one entry for each of kernel, or none, got {stride=}, {kernel=}"
        )
    if inputs % groups or outputs % groups:
        raise ValueError(
            f"groups must divide inputs and outputs, got {groups=}, {inputs=}, {outputs=}"
        )
    taps, thinned = _product(kernel), _product(kernel) / _product(stride)
    into, out_of = (thinned, taps) if transposed else (taps, thinned)
    inputs, outputs, groups = int(inputs), int(outputs), int(groups)
    return Fans(inputs // groups * into, outputs // groups * out_of)


def pytorch_fans(shape: Sequence[int]) -> Fans:
    """Fans that torch.nn.init reads off a weight.

    Linear (out, in); Conv (out, in/groups, *kernel); ConvTranspose (in,
    out/groups, *kernel), taken for a Conv.
    """
    _check(shape)
    taps = _product(shape[2:])
    return Fans(int(shape[1]) * taps, int(shape[0]) * taps)


def keras_fans(shape: Sequence[int]) -> Fans:
    """Fans that keras.initializers reads off a kernel.

    Dense (in, out); Conv (*kernel, in/groups, out); ConvTranspose (*kernel,
    out, in) and
    DepthwiseConv (*kernel, in, multiplier), both taken for a Conv.
    """
    _check(shape)
    taps = _product(shape[:-2])
    return Fans(int(shape[-2]) * taps, int(shape[-1]) * taps)


def _check(shape: Sequence[int]) -> None:
    if len(shape) < 2 or not all(size >= 0 and size % 1 == 0 for size in shape):
        raise ValueError(
            f"shape must have 2 or more dimensions, integers from 0 on, got {tuple(shape)}"
        )


def _product(sizes: Sequence[int]) -> int:
    # Python's integers: those of NumPy would overflow
    return int(np.prod([int(size) for size in sizes], dtype=object))
