"""The thresholds, each with its reason."""

STEPS, MOST = 100, 400
"""Steps of the first trial, and of all trials together."""
ALONE, ADAM = 60, (0.01, 0.001)
"""Steps on one batch alone, shared by these rates of Adam: small networks learn
a batch at the one, deep ones at the other, whatever the given optimizer does.
"""
LOOKED_AT, WIDE = 500, 4096
"""Examples for scores and neighbors, and numbers of each."""
NOT_DONE, FINISHED = 0.5, 0.3
"""Loss over that of the best constant: below, the trial learns well enough to
ask no more; FINISHED where the trial is as long as the whole training.
"""
GUESS, NOTHING = 0.9, 0.97
"""The same: above, nothing was learned; above NOTHING by no trial at all."""
BETTER = 0.7
"""Of another trial over that of the first one: all see the same batches, so
that noise cancels, and 30 % is beyond it.
"""
WAVERS = 0.9
"""Loss of the second half over that before: above, it does not fall."""
MOVED = 0.05
"""Of the weights' norm, in the whole training along a straight line, which is
the most that can be moved.
"""
NO_BETTER, COMMON = 0.02, 0.75
"""Accuracy above that of the commonest class, while the loss falls; and the
share of that class from which on accuracy says little.
"""
CHANCE = 3.0
"""Standard errors by which neighbors must share their class more often than
chance.
"""
MOVED_BY = 6.0
"""The same where the targets are moved: six moves are tried."""
HELD_OUT, HOLDS = 50, 1.0
"""Examples, below which nothing is said of those that were held out; standard
errors by which their predictions are better than chance, if anything holds.
"""
UNREACHED = 0.05
"""Of the examples: as many may be outliers."""
UNEVEN = 0.9
"""Share of the commonest class: to say it always is right as often."""
COMMONER, ALONG = 2.0, 0.5
"""Of the commonest class over the rarest one, in number and in weight: what
balances goes the other way; and the correlation of both over all classes.
"""
ALIKE = 16
"""Examples: so many may not all have the same target."""
SMALL = 0.1
"""Median norm of an example: one-hot rows and tf-idf have 1, pixels divided by
255 twice 0.05.
"""
DROPPED = 0.75
"""Rate of a dropout: it keeps a quarter and multiplies it by four."""
OUTWEIGHED = 1.0
"""Of what the penalty does to the weights in the first step over what the loss
does: at 1 the step shrinks more than it learns. A weight decay of 1e-4 to 1e-3
lies 10 to 1000 times below.
"""
NEAR_ZERO = 1e4
"""Loss of outputs of 1e-30 over that of 0.5: a logarithm makes it 100, a
quotient 5e29.
"""
HELD = 2**28
"""Bytes of batches that are held of a loader; the trials go round in them."""
