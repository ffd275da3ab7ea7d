"""Where a value that is not finite is born, and which dropouts were at work."""

import traceback
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from snippets.diagnostics.check_model_source.measure_pytorch import (
    _place_of,
    _tensors,
)


class _Dropping(TorchFunctionMode):
    """Notes what is dropped."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name, named = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name == "scaled_dot_product_attention":
            rate = named.get("dropout_p", args[4] if len(args) > 4 else 0.0)
            training = True
        elif name in _DROPOUTS:
            rate = named.get("p", args[1] if len(args) > 1 else 0.5)
            training = named.get("training", args[2] if len(args) > 2 else True)
        else:
            rate, training = 0.0, False
        if training and rate:
            self.found.append(
                f"{name}, rate {rate:g}{_place_of(traceback.format_stack()[:-1])}"
            )
        return func(*args, **named)


class _Birth(TorchFunctionMode):
    """The first function that returns what its arguments did not hold."""

    def __init__(self, mask: bool) -> None:
        super().__init__()
        self.mask, self.place = mask, ""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        # A mask is meant.
        if (
            not self.place
            and isinstance(result, Tensor)
            and name not in ("masked_fill", "full", "where", "set")
        ):
            given = [
                part
                for part in _tensors((args, kwargs))
                if part.is_floating_point() and part.numel()
            ]
            if (
                given
                and result.is_floating_point()
                and result.numel()
                and self.born(result.detach(), given)
            ):
                low, high = (
                    min(part.min().item() for part in given),
                    max(part.max().item() for part in given),
                )
                self.place = f"; born in {name}, {given[0].dtype}, inputs {low:.3g} to {high:.3g}"
                if name in ("softmax", "log_softmax"):
                    axis = (kwargs or {}).get("dim", args[1] if len(args) > 1 else None)
                    rows = (
                        given[0]
                        .movedim(-1 if axis is None else axis, -1)
                        .flatten(0, -2)
                    )
                    if empty := int(rows.isneginf().all(-1).sum()):
                        self.place += f": {empty} of {len(rows)} rows are -inf throughout, their mask leaves nothing"
        return result

    def born(self, result: Tensor, given: list[Tensor]) -> bool:
        if not self.mask:
            return not result.isfinite().all() and all(
                part.isfinite().all() for part in given
            )
        spoiled = any((part.isnan() | part.isposinf()).any() for part in given)
        # A softmax makes NaN of -inf alone; a minus before it is no birth.
        made = result.isnan().any() or (
            result.isposinf().any() and not any(part.isneginf().any() for part in given)
        )
        return bool(made) and not spoiled


_DROPOUTS = {
    *("dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("alpha_dropout", "feature_alpha_dropout"),
}
