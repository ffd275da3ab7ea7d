"""What check_model costs, in plain training steps of the same model, in one run.

    python -m tests.bench.check_model

A step is forward, backward and SGD. Check and step take turns, and the median of the ratios is printed beside the
budget. It decides nothing.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import TOKENS, Case, build, images
from tests.bench.table import Row, table

TURNS = 7
BUDGET = 3.0
"""Steps."""


def perceptron() -> Case:
    hidden = [module for _ in range(8) for module in (nn.Linear(1024, 1024), nn.ReLU())]
    batch = (torch.randn(256, 1024), torch.randint(10, (256,)))
    return Case(nn.Sequential(*hidden, nn.Linear(1024, 10)), batch, nn.CrossEntropyLoss())


def resnet() -> Case:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", num_labels=10)
    return images(ResNetForImageClassification(config), 64)


def gpt2() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    tokens = torch.randint(TOKENS, (8, 128))
    config = GPT2Config(
        vocab_size=5000, n_positions=128, n_embd=256, n_layer=6, n_head=4, bos_token_id=0, eos_token_id=0
    )
    return Case(GPT2LMHeadModel(config), {"input_ids": tokens, "labels": tokens})


def step(case: Case) -> None:
    if case.loss:
        inputs, targets = case.batch
        loss = case.loss(case.model(inputs), targets)
    else:
        loss = case.model(**case.batch).loss
    loss.backward()
    optimizer = torch.optim.SGD(case.model.parameters(), lr=0.0)
    optimizer.step()
    optimizer.zero_grad()


def ratio(case: Case) -> float:
    """Median over the turns of the CPU seconds of a check over those of the plain step after it."""
    tools = (lambda: check_model(*case), lambda: step(case))
    for tool in tools:
        tool()
    seconds = [[_seconds(tool) for tool in tools] for _ in range(TURNS)]
    return statistics.median(check / plain for check, plain in seconds)


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    rows = [Row(name, ratio(build(make, 0)), BUDGET) for name, make in MODELS.items()]
    print(table("steps", rows, decimals=2))


MODELS = {
    "check_model, MLP 8 x 1024, batch 256": perceptron,
    "check_model, ResNet-18, 8 images of 64 x 64": resnet,
    "check_model, GPT-2 6 x 256, 8 x 128 tokens": gpt2,
}

if __name__ == "__main__":
    main()
