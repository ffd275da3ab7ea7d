"""A classifier with He initialization, complete.

    std = sqrt(2 / fan_in) where a ReLU follows, sqrt(1 / fan_in) at the output
    biases 0

Needs Python 3.10 and PyTorch 2.6, or newer.
Source: He, Zhang, Ren & Sun (2015), "Delving Deep into Rectifiers",
section 2.2, equation 10.
"""

from typing import Literal

import torch
from torch import Tensor, nn


class HeInitializedModel(nn.Module):
    """Maps rows of 64 features, (B, 64), to logits of 10 classes, (B, 10)."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        )
        self.output = nn.Linear(64, 10)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None) -> None:
        """Draw all weights from `generator` or from PyTorch's global one."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                follows: Literal["linear", "relu"] = (
                    "linear" if layer is self.output else "relu"
                )
                nn.init.kaiming_normal_(
                    layer.weight, nonlinearity=follows, generator=generator
                )
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(x))


if __name__ == "__main__":
    seed = torch.Generator().manual_seed(0)
    model, rows = HeInitializedModel(seed), torch.randn(256, 64, generator=seed)
    print(f"mean square of the inputs {rows.square().mean():.2f}")
    print(f"mean square of the logits {model(rows).square().mean():.2f}")
