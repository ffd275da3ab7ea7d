"""Set the forget gate bias of an LSTM to another value than the 1 that Keras
gives it.

    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)
    c_t = f_t * c_{t-1} + i_t * g_t
    b_f = value

Along the cell state the gradient is multiplied by f_t at each step.
`keras.layers.LSTM` has one bias vector, and with `unit_forget_bias=True`, its
default, the forget part starts at 1; the rest starts at 0. For 1 nothing is to
be done.
Needs Python 3.10 and Keras 3.9, or newer.
Source: Gers, Schmidhuber & Cummins (2000), "Learning to forget"; Jozefowicz,
Zaremba & Sutskever (2015), "An empirical exploration of recurrent network
architectures", on the bias of the forget gate.
"""

import math

import keras
from keras import layers


def set_forget_bias(
    lstm: layers.LSTM | layers.LSTMCell, value: float = 1.0
) -> layers.LSTM | layers.LSTMCell:
    """Make the forget bias of `lstm`, which must be built, `value`, in place,
    and return it.

    The biases of the other gates and all weights stay. Raises ValueError for a
    layer that is no LSTM, has no bias or is not built, and for a `value` that
    is not finite.
    """
    value = float(value + 0.0)  # text is no number
    if not math.isfinite(value):
        raise ValueError(f"value must be finite, got {value}")
    cell = lstm.cell if isinstance(lstm, layers.LSTM) else lstm
    if not isinstance(cell, layers.LSTMCell) or not cell.built or not cell.use_bias:
        raise ValueError(
            f"lstm must be an LSTM or LSTMCell that is built and has a bias, got {lstm}"
        )
    # (input | forget | cell | output)
    before, after = cell.bias[: cell.units], cell.bias[2 * cell.units :]
    forget = keras.ops.full((cell.units,), value, dtype=cell.bias.dtype)
    cell.bias.assign(keras.ops.concatenate([before, forget, after]))
    return lstm
