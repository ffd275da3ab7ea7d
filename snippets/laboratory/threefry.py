"""Random numbers that are a pure function of seed, stream, layer and index, in NumPy.

`docs/javascripts/explorer/rng.js` draws the same numbers in the browser: so both run the same network. The generator
is Threefry-2x32 with 20 rounds; a block of two words belongs to the key (seed, stream) and the counter
(index // 2, layer). Everything drawn has variance 1.
Source: Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

import math
from enum import IntEnum

import numpy as np

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal variable between -2 and 2: the constant of Keras's `VarianceScaling`."""


class Stream(IntEnum):
    """What the numbers are for; numbers of different streams are independent."""

    WEIGHT = 0
    BIAS = 1
    INPUT = 2
    GRADIENT = 3
    BATCH = 4


def threefry_2x32(
    key: tuple[int, int], counter: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Two words, uint32 and of the shape of the counters, for each pair of counters (uint32)."""
    schedule = [
        np.array(word, dtype=np.uint32) for word in (*key, key[0] ^ key[1] ^ PARITY)
    ]
    x, y = counter[0] + schedule[0], counter[1] + schedule[1]
    for group in range(1, 6):
        for bits in ROTATIONS[(group - 1) % 2]:
            x = x + y
            y = (y << np.uint32(bits) | y >> np.uint32(32 - bits)) ^ x
        x, y = x + schedule[group % 3], y + schedule[(group + 1) % 3] + np.uint32(group)
    return x, y


def words(seed: int, stream: Stream, layer: int, count: int) -> np.ndarray:
    """`count` words of 32 bits: uint32, shape (count,)."""
    counter = np.arange((count + 1) // 2, dtype=np.uint32)
    blocks = threefry_2x32((seed, stream), (counter, np.full_like(counter, layer)))
    return np.stack(blocks, axis=1).ravel()[:count]


def uniform(seed: int, stream: Stream, layer: int, count: int) -> np.ndarray:
    """Uniform numbers on (-sqrt(3), sqrt(3)): float64, shape (count,)."""
    return math.sqrt(3) * ((words(seed, stream, layer, count) + 0.5) / 2**31 - 1.0)


def normal(seed: int, stream: Stream, layer: int, count: int) -> np.ndarray:
    """Standard normal numbers by the method of Box and Muller: float64, shape (count,)."""
    first, second = words(seed, stream, layer, count + count % 2).reshape(-1, 2).T
    radius, angle = (
        np.sqrt(-2.0 * np.log((first + 0.5) / 2**32)),
        2.0 * math.pi / 2**32 * second,
    )
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[
        :count
    ]


def truncated(seed: int, stream: Stream, layer: int, count: int) -> np.ndarray:
    """Normal numbers without those beyond 2 standard deviations, which are drawn again: float64, shape (count,)."""
    drawn, attempt = normal(seed, stream, layer, count), 0
    while (beyond := np.abs(drawn) > 2.0).any():
        attempt += 1
        drawn = np.where(
            beyond, normal(seed, stream, layer + (attempt << 16), count), drawn
        )
    return drawn / TRUNCATED_STD


def orthogonal(
    seed: int, stream: Stream, layer: int, rows: int, columns: int
) -> np.ndarray:
    """A matrix whose rows or columns, whichever are fewer, are orthogonal and all of one length: (rows, columns).

    The QR decomposition of a Gaussian matrix with a positive diagonal of R, as `torch.nn.init.orthogonal_` takes it.
    """
    few, many = sorted((rows, columns))
    q, r = np.linalg.qr(normal(seed, stream, layer, few * many).reshape(few, many).T)
    q = math.sqrt(many) * q * np.sign(np.diag(r))
    return q if rows > columns else q.T


def unit_weights(
    distribution: str, seed: int, layer: int, fan_out: int, fan_in: int
) -> np.ndarray:
    """The weights of a layer in units of their standard deviation: float64, shape (fan_out, fan_in).

    `distribution` is "normal", "uniform", "truncated" or "orthogonal".
    """
    if distribution == "orthogonal":
        return orthogonal(seed, Stream.WEIGHT, layer, fan_out, fan_in)
    draw = {"normal": normal, "uniform": uniform, "truncated": truncated}[distribution]
    return draw(seed, Stream.WEIGHT, layer, fan_out * fan_in).reshape(fan_out, fan_in)
