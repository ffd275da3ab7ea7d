"""The thresholds, each with its reason."""

DECADES = 3.0
"""Powers of ten by which a signal may fall or grow from the first layer to the
last.
"""
STEADY = 0.1
"""A factor this near to 1 per layer is no fault before twice as many decades:
ResNet-152 has 1.05 and trains.
"""
OUTSIDE = 0.05
"""Of the targets: as many may be outliers."""
DEAD, UNITS = 0.75, 32
"""Of a layer's units, if they are 32 or more. Half of them are off where all
inputs look alike to the layer, which alone does no harm; that 25 of 32 are off
by chance has the probability 0.001.
"""
FLAT = 0.1
"""An activation is saturated where its slope is below this part of its largest.
"""
SATURATED = 0.5
"""Of a layer's activations."""
PEAKED = 0.65
"""Mean largest weight of an attention: healthy ones reach 0.5. At 1 a query
reads one key, and the softmax passes no gradient.
"""
ANGLE = 1e-4
"""1 - cosine between the outputs of two examples: below it they are told apart
by their last digits.
"""
ALIKE, SUDDEN = 1e-5, 0.01
"""The output differs by less than this part of its size between examples, and
so does what all layers after one return, before which 1 - cosine is larger than
the second number.
"""
ODD = 30.0
"""A gain this many times the median of the model, or less than a tenth of that
part of it: policies start with a last layer of a hundredth, in others 15 is the
most and a 40th the least.
"""
WILD, FAINT = 1e4, 1e-20
"""Root mean square of weights that nobody has drawn."""
FORGOTTEN = 6.0
"""Powers of ten by which a recurrent layer may fade from its last step to its
first: of what is left, float32 keeps no digit beside the rest.
"""
NOISE = 0.5
"""Of scales of a normalization, |mean| over root mean square: they start at one
number, and numbers drawn around 0 have less.
"""
GAP = 1.5
"""Loss in evaluation mode over that in training mode, on the same batch."""
MIXED = 0.01
"""By which part of its size the output of an example may change with those that
stand beside it.
"""
EXCESS = 2.0
"""Nats above ln(classes): Gaussian logits of standard deviation s lie about s^2
/ 2 above, and s = 1 is usual.
"""
UNEQUAL, COLUMNS = 30.0, 16
"""Standard deviations of targets that are learned together, the largest over
the smallest: at 10, 400 steps leave a third to nearly all of the smaller one
unlearned, at 30 three quarters or more. Of targets with more columns, those of
an image or a spectrum, nothing is said.
"""
SAME = 1e-3
"""Part by which the lengths of rows may differ that were normalized to one:
those of random logits differ by more, also of 50,000 classes.
"""
LEVEL, DIGITS = 0.1, 1e-3
"""Slope of a loss at a constant answer over that at the output, where it is
least; and the part of a loss by which it is less there. A hundredth of that
part is rounding.
"""
NUMBERS = 2**22
"""Of the output: larger ones are not answered for."""
FEW = 8
"""Examples, below which a mean says nothing of a loss."""
INPUT = 20.0
"""Root mean square: standardized inputs have 1, pixels from 0 to 255 about 130.
"""
SAMPLES = 2**14
"""Entries of a tensor that its statistics are taken from: an error of 1 % in
the standard deviation.
"""
ROOM = 2**26
"""Bytes for copies of what is neither parameter nor buffer, such as data that a
model holds; as many as the parameters have, if that is more.
"""
