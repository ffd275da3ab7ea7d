"""Numbers and names of tensors, weights and operations."""

import math
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snippets.diagnostics.check_model_source.limits import FEW, NOISE, SAMPLES
from snippets.diagnostics.check_model_source.signals import _neighbours


def _is_numpy(generator: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(generator, numpy.random.Generator)


def _dense(gradient: Tensor | None) -> Tensor | None:
    return (
        gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient
    )


_ORDER = "the output comes first; of a tuple, lambda output, targets: loss(output[0], targets)"


def _steps(model: nn.Module, norms: dict[Tensor, str]) -> str:
    """What tells that a model is not at its start."""
    for name, module in model.named_modules():
        seen = getattr(module, "num_batches_tracked", None)
        if isinstance(seen, Tensor) and seen.numel() == 1 and seen > 0:
            return f"{name} has seen {int(seen)} batches"
    for scale, name in norms.items():
        values = _plain(scale).double()
        drawn = max(_centred(scale), _rms(scale)) < NOISE
        # Some libraries draw them near 1.
        if len(values) > 1 and values.std() > 0.05 * values.mean().abs() and not drawn:
            return f"the scales of {name} differ"
    return ""


def _centred(scale: Tensor) -> float:
    values = _plain(scale).double()
    size = values.square().mean().sqrt().item()
    return abs(values.mean().item()) / size if size else 0.0


def _change(
    model: nn.Module, inputs: Any, axis: int, examples: int, count: int, watched: int
) -> tuple[float, float, float] | None:
    """By which part of its size the first output of one example changes with
    the others, the most of the further outputs, and by which part the first
    differs between examples; None if that cannot be told.
    """
    if not (picks := _neighbours(examples, count, watched)):
        return None
    count, outputs = min(count, examples), []
    # The first ones once more: a model that remembers answers otherwise.
    for pick in (*picks, picks[0]):
        torch.manual_seed(0)
        random.seed(0)
        tensors = [
            tensor
            for tensor in _tensors(_called(model, _taken(inputs, axis, examples, pick)))
            if tensor.is_floating_point() and count in tensor.shape[:2]
        ]
        place = axis if tensors[0].shape[axis : axis + 1] == (count,) else 1 - axis
        # Each against each: similarities, as contrastive losses take them.
        if tensors[0].shape[1 - place : 2 - place] == (count,):
            return None
        outputs.append(
            [
                tensor.movedim(place, 0)
                for tensor in tensors
                if tensor.shape[place : place + 1] == (count,)
                and tensor.shape[1 - place : 2 - place] != (count,)
            ]
        )
    if len({len(tensors) for tensors in outputs}) > 1:
        return None
    changes, apart = [], 0.0
    for first, moved, again in zip(*outputs, strict=True):
        if not torch.equal(first, again) or first.shape != moved.shape:
            return None
        # Below float32, the digits in common cover the rest.
        fine = 1e-3 if first.element_size() > 2 else 1.0
        first, moved = first.double(), moved.double()
        # What all examples have in common, such as a bias, says nothing.
        spread, whole = (
            part.abs().max().item() for part in (first - first.mean(0), first)
        )
        change = (first[watched] - moved[watched]).abs().max().item()
        apart = apart if changes else spread / (whole or 1.0)
        changes.append(change / (max(spread, fine * whole) or 1.0))
    if not math.isfinite(sum(changes)):
        return None
    return changes[0], max(changes[1:], default=0.0), apart


def _taken(value: Any, axis: int, examples: int, pick: list[int]) -> Any:
    """Of inputs, some examples."""
    if isinstance(value, Mapping):
        return {
            name: _taken(part, axis, examples, pick) for name, part in value.items()
        }
    if type(value) in (tuple, list):
        return type(value)(_taken(part, axis, examples, pick) for part in value)
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if value.dim() <= axis or value.shape[axis] != examples or value.is_nested:
        # Edges of a graph join its nodes, which are no examples.
        if value.is_floating_point():
            return value
        raise ValueError("indices")
    if value.shape[:2] == (examples, examples):
        raise ValueError("each against each")
    return value.index_select(axis, torch.tensor(pick, device=value.device))


def _texts(inputs: Any) -> list[Tensor]:
    """Whole numbers, a row for each text."""
    if isinstance(inputs, Mapping):
        other = re.compile("label|target|mask|type|position")
        inputs = [part for name, part in inputs.items() if not other.search(str(name))]
    whole = [part for part in _tensors(inputs) if part.dtype in (torch.long, torch.int)]
    return [part for part in whole if part.dim() == 2]


def _series(inputs: list[Tensor], targets: list[Tensor]) -> Tensor | None:
    """Numbers (examples, places, ...), of which the targets are the next ones,
    all or the first of each place.
    """
    for given in filter(_is_plain_memory, inputs):
        for target in filter(_is_plain_memory, targets):
            if (
                given.is_floating_point()
                and given.dim() > 2
                and given.shape[1] >= FEW
                and given.shape[:-1] == target.shape[:-1]
            ):
                known = given[..., : target.shape[-1]]
                later = torch.equal(known[:, 1:], target[:, :-1].to(given))
                if later and not torch.equal(known[:, 1:], known[:, :-1]):
                    return given
    return None


def _is_plain_memory(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def _exchanged(value: Any, old: Tensor, new: Tensor) -> Any:
    """Inputs with another tensor in the place of one."""
    if isinstance(value, Mapping):
        return {name: _exchanged(part, old, new) for name, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_exchanged(part, old, new) for part in value)
    return new if value is old else value


def _by_place(tensor: Tensor, length: int) -> Tensor | None:
    """What is said of each token: (texts, places, ...), from (texts, classes,
    places) too."""
    if not tensor.is_floating_point() or tensor.dim() < 3:
        return None
    axis = next((axis for axis in (1, 2) if tensor.shape[axis] == length), None)
    return None if axis is None else tensor.movedim(axis, 1)


def _sign_of_log(node: Any) -> int:
    """1 of log-probabilities, -1 of what is their negative, 0 of all else."""
    sign, turned = 1, False
    while node is not None:
        name = type(node).__name__.partition("Backward")[0]
        sources = [source for source, _ in node.next_functions]
        if name in ("Log", "LogSoftmax", "LogSigmoid"):
            return sign
        if name in ("NllLoss", "NllLoss2D", "BinaryCrossEntropy"):
            return -sign
        if name == "Sub":
            names = [type(source).__name__ for source in sources]
            if names[-1].startswith("Logsumexp"):
                return sign
            # That of a normal distribution, as torch.distributions writes it.
            sources = sources if names[0].startswith(("Sub", "Div")) else []
        elif name == "Pow":
            return -sign if turned else 0
        elif name == "Neg":
            sign, turned = -sign, True
        elif name not in (*_SHAPES, "Gather", "Index", "Sum", "Div"):
            return 0
        node = sources[0] if sources else None
    return 0


def _way_round(loss_fn: Any, output: Any, targets: Any) -> str:
    try:
        if _floating(loss_fn(targets, output)):
            return "the other way round it works: pass lambda output, targets: loss_fn(targets, output)"
    except Exception:
        pass
    return _ORDER


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _columns(tensor: Tensor) -> list[float]:
    """The root mean square of each feature of a table."""
    if tensor.dim() != 2 or tensor.shape[1] > 2**12:
        return []
    return _plain(tensor)[:SAMPLES].double().square().mean(0).sqrt().tolist()


def _linear(module: nn.Module) -> tuple[int, ...]:
    """The shape of the weight of a layer that is nothing but linear."""
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and (
        getattr(module, "groups", 1) == 1
    ):
        return tuple(_out_first(module, module.weight).shape)
    return ()


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    several = isinstance(inputs, tuple | list)
    if several and not isinstance(inputs, nn.utils.rnn.PackedSequence):
        return model(*inputs)
    return model(inputs)


def _own_loss(output: Any) -> Any:
    """The loss that a model returns, alone, by its name, or in parts."""
    if isinstance(output, Mapping) and "loss" not in output:
        # Detectors return one loss for each of their tasks.
        parts = [part for name, part in output.items() if "loss" in str(name)]
        return (
            sum(parts)
            if parts
            and all(isinstance(part, Tensor) and part.numel() == 1 for part in parts)
            else None
        )
    if isinstance(output, Mapping):
        return output["loss"]
    if isinstance(output, Tensor) or hasattr(output, "loss"):
        return getattr(output, "loss", output)
    if not isinstance(output, tuple | list):
        return None
    # (loss, output), (logits, loss), or the loss and numbers to log.
    numbers = [part for part in output if _floating(part) and part.numel() == 1]
    learned = [part for part in numbers if part.requires_grad] or numbers
    return learned[0] if len(learned) == 1 else None


def _is_mask(tensor: Tensor) -> bool:
    """Added to scores: 0 where one may look, -inf or a large negative number
    elsewhere.
    """
    tensor = _plain(tensor)
    return bool(((tensor == 0) | (tensor <= -1000)).all()) and bool((tensor < 0).any())


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Of a nested tensor, the number of its parts."""
    return (tensor.size(0),) if tensor.is_nested else tuple(tensor.shape)


def _plain(tensor: Tensor) -> Tensor:
    """The numbers of a tensor of any layout and format, without a gradient."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()])
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    return (
        tensor.float()
        if tensor.is_floating_point() and tensor.element_size() == 1
        else tensor
    )


@contextmanager
def _explained(what: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except (
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        AttributeError,
    ) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(f"{what()}: {error}") from error


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, dicts and dataclasses (so also in
    packed sequences and in outputs of transformers).
    """
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value) and not isinstance(value, type | Mapping):
        yield from _tensors(vars(value))
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _weights(module: nn.Module) -> list[Tensor]:
    """The module's own parameters of two or more dimensions, those behind
    parametrizations included.
    """
    if isinstance(
        module, nn.utils.parametrize.ParametrizationList | torch.jit.ScriptModule
    ):
        return []
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [
            weight
            for part in module.parametrizations.values()
            for weight in part.parameters(recurse=False)
        ]
    return [
        weight
        for weight in own
        if weight.dim() > 1 and weight.numel() and weight.is_floating_point()
    ]


def _out_first(module: nn.Module, weight: Tensor) -> Tensor:
    """The weight with its output units along the first dimension, as `Linear`
    has it.
    """
    swapped = (
        isinstance(module, nn.modules.conv._ConvTransposeNd)
        or type(module).__name__ == "Conv1D"
    )
    return weight.transpose(0, 1) if swapped else weight


def _gain(module: nn.Module, weights: list[Tensor]) -> float | None:
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return None
    gains = []
    for weight in weights:
        units = _out_first(module, weight.detach())
        # Experts stand behind each other: (experts, units, fan_in).
        number = (
            units.numel() // units.shape[-1]
            if units.dim() == 3 and not _is_conv(module)
            else len(units)
        )
        # Rows that all say the same, such as the rates of a state space, were
        # not drawn.
        if len(weights) == 1 or not _alike(units, 0.0):
            gains.append(_norm(units) / math.sqrt(number))
    return max(gains, default=None)


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.conv._ConvNd | nn.Bilinear)


def _twins(named: list[tuple[str, Tensor]]) -> set[str]:
    """Weights that hold the same numbers as another one of their shape, and
    more than one number.
    """
    seen: dict[Any, list[tuple[str, Tensor]]] = {}
    for name, weight in named:
        if weight.dim() > 1 and weight.numel() > 1:
            corner = tuple(
                weight.detach()[(slice(2),) * weight.dim()].flatten().tolist()
            )
            # Not drawn are also frozen tables of sines, targets that follow
            # another model, and rows that all say the same.
            if (
                len(set(corner)) > 1
                and weight.requires_grad
                and not torch.equal(weight[0], weight[-1])
            ):
                seen.setdefault((weight.shape, weight.dtype, corner), []).append(
                    (name, weight)
                )
    return {
        name
        for group in seen.values()
        for name, weight in group
        if any(other is not weight and torch.equal(other, weight) for _, other in group)
    }


def _alike(units: Tensor, within: float) -> bool:
    """Two or more rows that hold the same numbers, up to a part of the
    largest.
    """
    units = _plain(units)
    if len(units) < 2 or (not within and not torch.equal(units[0], units[-1])):
        return False
    return bool(((units - units[:1]).abs() <= within * units.abs().max()).all())


_WHOLE = (
    *("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze"),
    *("Alias", "Clone", "ToCopy"),
)
"""Operations that neither change a number nor leave one out."""


_SHAPES = (*_WHOLE, "Select", "Slice")


def _place_of(stack: list[str]) -> str:
    """The innermost line of the program, if one of its own called PyTorch."""
    lines = [re.match(r'\s*File "(.+)", line (\d+)', part) for part in stack]
    places = [(line[1], line[2]) for line in lines if line]
    called = max(
        (at for at, line in enumerate(places) if line[0] == __file__), default=-1
    )
    others = str(Path(torch.__file__).parent)
    own = [line for line in places[called + 1 :] if not line[0].startswith(others)]
    return f", in line {own[-1][1]} of {Path(own[-1][0]).name}" if own else ""


def _places(count: int, most: int, device: torch.device) -> Any:
    """Up to `most` indices below `count`, spread so that no period of the shape
    is hit alone.
    """
    if count <= most:
        return slice(None)
    return torch.arange(most, device=device) * 1_000_003 % count


def _sample(tensor: Tensor) -> Tensor:
    """Up to SAMPLES entries, float64 on the CPU."""
    flat = _plain(tensor).reshape(-1)
    return flat[_places(len(flat), SAMPLES, flat.device)].cpu().double()


def _lengths(rows: Tensor) -> list[float]:
    """Of some of them."""
    some = _plain(rows)[_places(len(rows), FEW, rows.device)]
    return some.double().norm(dim=-1).tolist()


def _rms(tensor: Tensor) -> float:
    return _sample(tensor).square().mean().sqrt().item()


def _all_finite(tensor: Tensor | None) -> bool:
    # A sum shows a single NaN or Inf among millions, in one pass and without a
    # copy.
    return (
        tensor is None
        or not tensor.is_floating_point()
        or math.isfinite(_plain(tensor).sum(dtype=torch.float32))
    )


def _moments(values: Tensor) -> dict[str, float]:
    some = _sample(values)
    finite = some[some.isfinite()]
    return {
        "mean": finite.mean().item(),
        "std": (finite - finite.mean()).square().mean().sqrt().item(),
        "non_finite": 0.0
        if _all_finite(values)
        else 1.0 - values.isfinite().double().mean().item(),
    }


def _cosine(values: Tensor, examples: int) -> float | None:
    if values.is_nested or values.layout is not torch.strided:
        return None
    dims = [dim for dim in range(min(2, values.dim())) if values.shape[dim] == examples]
    if examples < 2 or not dims or values.dim() < 2 or not values.numel():
        return None
    some = values.movedim(dims[0], 0)[:8].flatten(1)
    if some.shape[1] < 2:
        # Between two numbers it is 1 or -1, whatever they are.
        return None
    some = some[:, _places(some.shape[1], SAMPLES // 8, some.device)].cpu().double()
    units = some / some.norm(dim=1, keepdim=True)
    number = len(units)
    cosine = (units.sum(0).square().sum().item() - number) / (number * (number - 1))
    return cosine if math.isfinite(cosine) else None


def _norm(tensor: Tensor) -> float:
    """Euclidean norm; large and small tensors are scaled first, since the
    squares of 1e-30 are zero in float32.
    """
    tensor = _plain(tensor)
    if not tensor.numel():
        return 0.0
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    norm = torch.linalg.vector_norm(tensor, dtype=dtype).item()
    if 1e-15 < norm < 1e15:
        return norm
    largest = torch.linalg.vector_norm(tensor, math.inf).item()
    if not 0 < largest < math.inf:
        return largest
    return largest * torch.linalg.vector_norm(tensor.to(dtype) / largest).item()
