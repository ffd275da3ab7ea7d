"""What watching a training costs at the default cadence, as a ratio to the same steps unwatched, in one run.

    python -m tests.bench.monitor pytorch
    python -m tests.bench.monitor keras

Watched steps, of which every 50th looks at the weights, take turns with steps of the same model unwatched. The ratio of
their CPU seconds is printed beside the budget. It decides nothing.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

BUDGET = 1.05
STEPS, TURNS = 50, 9


class Pair(NamedTuple):
    name: str
    plain: Callable[[], object]
    """One step."""
    watched: Callable[[], object]


def pytorch() -> Iterator[Pair]:
    import torch
    from torch import nn

    from snippets.diagnostics.monitor_pytorch import TrainingMonitor

    torch.set_num_threads(1)

    def pair(name: str, model: nn.Module, inputs: torch.Tensor, clips: bool) -> Pair:
        labels = torch.randint(10, (len(inputs),))

        def step(optimizer: torch.optim.Optimizer, monitor: TrainingMonitor | None) -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            if clips and monitor:
                monitor.before_clipping()
            if clips:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        plain, watched = (torch.optim.AdamW(model.parameters(), lr=1e-4) for _ in range(2))
        monitor = TrainingMonitor(model, watched)
        return Pair(name, lambda: step(plain, None), lambda: step(watched, monitor))

    perceptron = nn.Sequential(
        *(part for _ in range(8) for part in (nn.Linear(512, 512), nn.ReLU())), nn.Linear(512, 10)
    )
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    transformer = nn.Sequential(nn.TransformerEncoder(layer, 4), nn.Flatten(), nn.Linear(32 * 128, 10))
    yield pair("MLP, 8 x 512, batch 128", perceptron, torch.randn(128, 512), clips=False)
    yield pair("the same, clipped", perceptron, torch.randn(128, 512), clips=True)
    yield pair("transformer, 4 x 128, 8 x 32 tokens, clipped", transformer, torch.randn(8, 32, 128), clips=True)


def keras() -> Iterator[Pair]:
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    import numpy as np
    import tensorflow as tf
    from keras import Input, Sequential, layers, losses, optimizers

    from snippets.diagnostics.monitor_keras import TrainingMonitor

    def pair(name: str, body: Callable[[], list], batch: int, shape: tuple[int, ...], **settings: float) -> Pair:
        generator = np.random.default_rng(0)
        data = generator.normal(size=(batch, *shape)).astype("float32"), generator.integers(10, size=batch)

        def step(watched: bool) -> Callable[[], object]:
            model = Sequential([Input(shape), *body(), layers.Dense(10)])
            loss = losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizers.AdamW(1e-4, **settings), loss)
            model.make_train_function()
            monitor = TrainingMonitor()
            if watched:
                monitor.set_model(model), monitor.on_train_begin()
            batches = iter(tf.data.Dataset.from_tensors(data).repeat())
            return lambda: (model.train_function(batches), watched and monitor.on_train_batch_end(0))

        return Pair(name, step(False), step(True))

    def convolutions() -> list:
        return [*(layers.Conv2D(32, 3, activation="relu") for _ in range(4)), layers.GlobalAveragePooling2D()]

    yield pair("MLP, 8 x 512, batch 128", lambda: [layers.Dense(512, "relu") for _ in range(8)], 128, (512,))
    yield pair("CNN, 4 x 32, batch 16, clipped", convolutions, 16, (24, 24, 3), global_clipnorm=1.0)


def ratio(pair: Pair) -> float:
    """CPU seconds of all watched steps over those of all plain ones; they take turns step by step, so that whatever
    else slows the machine slows both."""
    for step in pair[1:]:
        step()
    plain = watched = 0.0
    for turn in range(TURNS * STEPS):
        if turn % 2:
            watched += _seconds(pair.watched)
            plain += _seconds(pair.plain)
        else:
            plain += _seconds(pair.plain)
            watched += _seconds(pair.watched)
    return watched / plain


def _seconds(step: Callable[[], object]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def main(framework: str) -> None:
    print(f"{f'a watched step of {framework}':50}  ratio  budget")
    for pair in {"pytorch": pytorch, "keras": keras}[framework]():
        print(f"  {pair.name:48}  {ratio(pair):5.3f}  {BUDGET:6g}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
