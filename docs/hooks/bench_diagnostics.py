"""What the tools of the toolbox cost, as a ratio to a training step of the same model, in one run.

    python -m docs.hooks.bench_diagnostics

A step is forward, backward and SGD. Step and tool take turns, and the median of the ratios is printed, so that a busy
machine slows both. Printed beside the budget; it decides nothing.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from snippets.diagnostics.check_model_pytorch import check_model
from snippets.laboratory.healthy_models import TOKENS, Case, build, images

TURNS = 7
BUDGET = 3.0


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


def ratio(tool: Callable[[], object], plain: Callable[[], object]) -> float:
    """Median over the turns of the tool's time divided by that of the plain step after it."""
    plain(), tool()
    return statistics.median(_seconds(tool) / _seconds(plain) for _ in range(TURNS))


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'check_model, in training steps':36}  ratio  budget")
    for name, make in (("MLP, 8 x 1024, batch 256", perceptron), ("ResNet-18, 8 x 64 x 64", resnet),
                       ("GPT-2, 6 x 256, 8 x 128 tokens", gpt2)):  # fmt: skip
        case = build(make, 0)
        measured = ratio(lambda case=case: check_model(*case), lambda case=case: step(case))
        print(f"  {name:34}  {measured:5.2f}  {BUDGET:6g}", flush=True)


if __name__ == "__main__":
    main()
