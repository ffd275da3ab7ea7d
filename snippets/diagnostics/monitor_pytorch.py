"""Watch a training run: gradient norms, update-to-weight ratios, how often
clipping acts, and the first Inf or NaN.

    with TrainingMonitor(model, optimizer) as monitor:
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss_fn(model(inputs), labels).backward()
            # only if you clip; with a GradScaler, after unscale_
            monitor.before_clipping()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    monitor.plot().savefig("training.png")
    monitor.to_csv("training.csv")

    gradient norm      ||g||           of all layers in every step, of each
                                       layer in every 50th
    update ratio       ||dw|| / ||w||  of all layers and of each, in every 50th
                                       step
    clipped            whether anything shrank the gradient after
                       `before_clipping`, in every step
    notes              what is wrong with the loop: gradients that stay from
                       step to step or add up, weights without an optimizer

One step is one `optimizer.step()`: a gradient that several backward passes
accumulate is seen once, whole; a step that a GradScaler skips is not seen. A
usual update ratio is about 1e-3.
Source: Karpathy, notes of the Stanford course CS231n, "Neural networks part 3",
section "Ratio of weights:updates".
"""

import csv
import warnings
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SHRUNK = 0.5
"""Of the norm of all weights at first: training makes it grow, as a rule."""


class TrainingMonitor:
    """Records what each `optimizer.step()` does to the parameters of `model`
    that `optimizer` holds now.

    A layer is a module with parameters of its own, named as in `named_modules`;
    parameters of the model itself go by their own names, and a tied one belongs
    to the first layer that has it. `every` is the number of steps from one look
    at the weights to the next; a look copies them for the length of a step.
    Numbers wait on the device until then. `writer` may be anything with
    TensorBoard's `add_scalar(tag, value, step)`. The training is the same with
    or without a monitor; `close`, or the end of the `with` block, removes its
    hooks.

    Raises ValueError for an `every` that is no integer from 1 on, for an
    optimizer without parameters of the model, for a lazy model, and at a
    `step(closure)`, which computes its gradients too late to be watched.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        every: int = 50,
        writer: Any = None,
    ) -> None:
        if not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"every must be an integer from 1 on, got {every!r}")
        if not isinstance(model, nn.Module):
            raise ValueError(f"model must be a Module, got {type(model).__name__}")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"optimizer must be an Optimizer, got {type(optimizer).__name__}"
            )
        for name, parameter in model.named_parameters():
            if isinstance(parameter, nn.UninitializedParameter):
                raise ValueError(f"model must have seen a batch: {name!r} is lazy")
        if writer is not None and not hasattr(writer, "add_scalar"):
            raise ValueError(f"writer must have add_scalar, got {writer!r}")
        held = {
            id(parameter)
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        named = {
            name: parameter
            for name, parameter in model.named_parameters()
            if id(parameter) in held
        }
        if not named:
            raise ValueError(
                "optimizer must hold parameters of model, got one that holds none of them"
            )
        layer_of = [name.rpartition(".")[0] or name for name in named]
        self.layers = list(dict.fromkeys(layer_of))
        self.non_finite: tuple[int, list[str]] | None = None
        """The first step with a gradient of norm Inf or NaN, from 0, and the
        layers that had it.
        """
        self.lost: tuple[int, list[str]] | None = None
        """The first step that looked at the weights, had finite gradients and
        an update that was not, and the layers that had it.
        """
        self._strays = [
            name
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and id(parameter) not in held
        ]
        self._passes, self._most_passes = [0, 0], 0
        self._kept: int | None = None
        self._sizes: list[float] = []
        self._parameters, self._layer_of = (
            list(named.values()),
            [self.layers.index(layer) for layer in layer_of],
        )
        self._every, self._writer, self._steps = every, writer, 0
        self._unclipped: Tensor | None = None
        self._waiting: list[tuple[Tensor, Tensor | None]] = []
        self._copies: list[Tensor] = []
        self._rows: list[dict[str, float]] = []
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        trained = [one for one in named.values() if one.requires_grad]
        for place, one in enumerate(trained[:: max(1, len(trained) - 1)][:2]):
            self._hooks.append(one.register_hook(partial(self._pass, place, one)))

    def before_clipping(self) -> None:
        """Call it in every step before you clip, by whatever rule: the norms
        recorded are those of this moment.
        """
        self._unclipped = self._gradient_norms()

    @property
    def rows(self) -> list[dict[str, float]]:
        """One dictionary per step, as `pandas.DataFrame` takes it: step (from
        0), gradient_norm, and clipped (0 or 1) if `before_clipping` was called;
        where the weights were looked at, also update_ratio, and of each layer
        `gradient_norm/<layer>` and `update_ratio/<layer>`, which is Inf where
        the weights were all zero.
        """
        self._collect()
        return self._rows

    @property
    def clipped_fraction(self) -> float:
        """The fraction of all steps in which clipping acted; NaN if none was
        announced by `before_clipping`.
        """
        clipped = [row["clipped"] for row in self.rows if "clipped" in row]
        return sum(clipped) / len(clipped) if clipped else float("nan")

    @property
    def notes(self) -> list[str]:
        """What the steps so far say of the training loop, a sentence each."""
        self._collect()
        found = []
        if self._kept is not None:
            found.append(
                f"step {self._kept}: the gradients of the step before were still there; call "
                "optimizer.zero_grad() before each backward pass"
            )
        if self._strays:
            found.append(
                f"{len(self._strays)} weights that are to be trained are in no group of the optimizer, such as "
                f"{self._strays[0]}; make the optimizer after the model, or freeze them"
            )
        if self.lost:
            found.append(
                f"step {self.lost[0]}: the gradient is finite and the update of {self.lost[1]} is not; in float16 an "
                "epsilon of 1e-8 is 0: train float32 weights under autocast, or take an epsilon of 1e-2"
            )
        if self._most_passes > 1:
            found.append(
                f"{self._most_passes} backward passes in a step add up their gradients; where each is a batch, "
                f"divide each loss by {self._most_passes}"
            )
        fall = self._sizes[-1] / max(self._sizes[0], 1e-30) if self._sizes else 1.0
        if fall < SHRUNK and self._sizes == sorted(self._sizes, reverse=True):
            found.append(
                f"the weights only shrink, to {fall:.2g} of their size: take a hundredth of the weight decay"
            )
        return found

    def _pass(self, place: int, parameter: Tensor, _gradient: Tensor) -> None:
        """A gradient is about to be added to `parameter.grad`."""
        before = parameter.grad
        first = not self._passes[place] and 0 < self._steps < 4
        there = before is not None and before.layout is torch.strided
        if first and there and self._kept is None and before.any():
            self._kept = self._steps
        self._passes[place] += 1

    def to_csv(self, path: str | PathLike) -> None:
        """Write `rows`, one line per step; what was not recorded in a step is
        empty.
        """
        names = ["step", "gradient_norm", "clipped", "update_ratio"]
        by_layer = [
            f"{what}/{layer}"
            for what in ("gradient_norm", "update_ratio")
            for layer in self.layers
        ]
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, names + by_layer)
            table.writeheader()
            table.writerows(self.rows)

    def plot(self) -> Any:
        """What `plot_rows` draws of the rows so far."""
        return plot_rows(self.rows)

    def close(self) -> None:
        """Remove the hooks and collect what waits; the records stay."""
        for hook in self._hooks:
            hook.remove()
        self._collect()

    def __enter__(self) -> "TrainingMonitor":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _before_step(
        self, optimizer: torch.optim.Optimizer, arguments: tuple, keywords: dict
    ) -> None:
        if any(callable(argument) for argument in (*arguments[1:], *keywords.values())):
            raise ValueError(
                "optimizer.step must be called after backward, without a closure, to be watched"
            )
        norms = self._gradient_norms()
        # a fused step unscales inside
        if (scale := getattr(optimizer, "grad_scale", None)) is not None:
            norms = norms / scale
        self._seen = torch.stack(
            [norms] if self._unclipped is None else [self._unclipped, norms]
        )
        self._unclipped = None
        looks = self._steps % self._every == 0
        self._copies = (
            [parameter.detach().clone() for parameter in self._parameters]
            if looks
            else []
        )

    def _after_step(
        self, optimizer: torch.optim.Optimizer, _arguments: tuple, _keywords: dict
    ) -> None:
        if (
            overflow := getattr(optimizer, "found_inf", None)
        ) is not None and overflow.item():
            return  # a fused step decides inside to skip
        look = None
        if self._copies:
            changes = [
                new.detach() - old
                for new, old in zip(self._parameters, self._copies, strict=True)
            ]
            look = torch.stack([self._norms(changes), self._norms(self._copies)])
            self._copies = []
        self._most_passes = max(self._most_passes, *self._passes)
        self._passes = [0, 0]
        self._waiting.append((self._seen, look))
        self._steps += 1
        if look is not None:
            self._collect()

    def _gradient_norms(self) -> Tensor:
        return self._norms([parameter.grad for parameter in self._parameters])

    def _norms(self, tensors: list[Tensor | None]) -> Tensor:
        """Euclidean norms, shape (P,), in float32 or wider, on one device; 0
        for None.
        """
        device, norms = self._parameters[0].device, []
        for tensor in tensors:
            if tensor is None or not tensor.numel():
                tensor = torch.zeros(1)
            elif tensor.is_sparse:
                tensor = tensor.coalesce().values()
            norms.append(_norm(tensor).to(device))
        return torch.stack(norms)

    def _collect(self) -> None:
        """Bring the norms that wait to the host, as rows."""
        waiting, self._waiting = self._waiting, []
        for seen, look in waiting:
            norms = self._by_layer(seen[0])
            row: dict[str, float] = {
                "step": len(self._rows),
                "gradient_norm": _total(norms),
            }
            # rounding in float16 changes a norm by less than a thousandth
            if len(seen) == 2:
                row["clipped"] = float(
                    _total(self._by_layer(seen[1])) < 0.999 * row["gradient_norm"]
                )
            if look is not None:
                moved, size = self._by_layer(look[0]), self._by_layer(look[1])
                with np.errstate(divide="ignore", invalid="ignore"):
                    row["update_ratio"], ratios = (
                        float(np.divide(_total(moved), _total(size))),
                        moved / size,
                    )
                self._sizes.append(_total(size))
                bad = ~np.isfinite(moved)
                if self.lost is None and bad.any() and np.isfinite(norms).all():
                    layers = [self.layers[place] for place in np.flatnonzero(bad)]
                    self.lost = (row["step"], layers)
                for what, values in (
                    ("gradient_norm", norms),
                    ("update_ratio", ratios),
                ):
                    tags = [f"{what}/{layer}" for layer in self.layers]
                    row |= dict(zip(tags, values.tolist(), strict=True))
            self._rows.append(row)
            for tag, value in row.items() if self._writer is not None else ():
                if tag != "step":
                    self._writer.add_scalar(tag, value, row["step"])
            if self.non_finite is None and not np.isfinite(norms).all():
                layers = [
                    layer
                    for layer, norm in zip(self.layers, norms, strict=True)
                    if not np.isfinite(norm)
                ]
                self.non_finite = (row["step"], layers)
                warnings.warn(
                    f"step {row['step']}: the gradient of {layers} is not finite",
                    RuntimeWarning,
                    2,
                )

    def _by_layer(self, norms: Tensor) -> np.ndarray:
        return np.sqrt(np.bincount(self._layer_of, norms.cpu().double().numpy() ** 2))


def _norm(tensor: Tensor) -> Tensor:
    wide = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    norm = torch.linalg.vector_norm(wide)
    # most norms are far from where squares overflow or are 0; to ask an
    # accelerator for its number would make it wait
    if norm.device.type == "cpu" and 1e-12 < norm < 1e15:
        return norm
    largest = wide.abs().amax()
    unit = torch.where((largest > 0.0) & largest.isfinite(), largest, 1.0)
    return unit * torch.linalg.vector_norm(wide / unit)


def plot_rows(rows: list[dict[str, float]]) -> Any:
    """A matplotlib Figure of a monitor's rows: gradient norms above update
    ratios. Gray lines are the inner layers.

    Raises ValueError if no row has an update ratio.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if not isinstance(rows, list):
        raise ValueError(f"rows must be those of a monitor, got {rows!r}")
    looks = [row for row in rows if "update_ratio" in row]
    if not looks:
        raise ValueError(
            "rows must hold an update ratio, got none: nothing was recorded"
        )
    width, _ = matplotlib.rcParams["figure.figsize"]
    figure = Figure(figsize=(width, 1.2 * width), layout="constrained")
    layers = [
        name.partition("/")[2] for name in looks[0] if name.startswith("update_ratio/")
    ]
    colors = dict.fromkeys(layers, "C5") | {layers[-1]: "C2", layers[0]: "C1"}
    for axes, what in zip(
        figure.subplots(2, sharex=True), ("gradient_norm", "update_ratio"), strict=True
    ):
        for layer in sorted(layers, key=lambda layer: colors[layer] != "C5"):
            label = None if colors[layer] == "C5" else f"layer {layer}"
            values = [row[f"{what}/{layer}"] for row in looks]
            axes.semilogy(
                [row["step"] for row in looks],
                values,
                colors[layer],
                label=label,
                linewidth=1,
            )
        whole = [row for row in rows if what in row]
        axes.semilogy(
            [row["step"] for row in whole],
            [row[what] for row in whole],
            "C0",
            label="all layers",
        )
        axes.set_ylabel(
            {"gradient_norm": "gradient norm", "update_ratio": "update / weight"}[what]
        )
    figure.axes[0].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    figure.axes[1].set_xlabel("step")
    return figure


def _total(norms: np.ndarray) -> float:
    return float(np.sqrt(np.sum(norms**2)))
