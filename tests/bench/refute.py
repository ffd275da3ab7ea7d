"""Plant a wrong experiment under the claims of each and count the claims that notice.

    python -m tests.bench.refute            a line for each planted fault; exits with 1 if one survives without a reason
    python -m tests.bench.refute lora cliff the faults of some experiments

Three faults that an author makes: the weights have another scale by sqrt(2) (He for Xavier or Xavier for He), the
learning rate is ten times too large, a mean is taken over the wrong axis. The words and intervals stay.
"""

import contextlib
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from docs.hooks.store import ROOT

AXES = {
    "activation_functions/attention_scale": ("p = powers / powers.sum(axis=1", "p = powers / powers.sum(axis=0"),
    "activation_functions/born_dead": ("hidden.any(axis=(1, 2))", "hidden.any(axis=(0, 2))"),
    "activation_functions/selu_fixed_point": ("found.mean(axis=0)", "found.mean(axis=1)"),
    "activation_functions/softmax_jacobian": ("powers / powers.sum(axis=-1", "powers / powers.sum(axis=0"),
    "activation_functions/gain_by_depth": ("np.mean(runs, axis=0)", "np.mean(runs, axis=1)"),
    "batch_normalization/shattered_gradients": ("rows - rows.mean(axis=1", "rows - rows.mean(axis=0"),
    "he_initialization/mean_square": ("np.mean(outputs**2, axis=1)", "np.mean(outputs, axis=1) ** 2"),
    "he_initialization/signal_per_layer": ("h.var(dim=0)", "h.var(dim=1)"),
    "vanishing_gradients/angles_collapse": ("np.linalg.norm(z, axis=1", "np.linalg.norm(z, axis=0"),
    "vanishing_gradients/skip_identity": ("gradients[-1], dim=1)", "gradients[-1], dim=0)"),
    "weight_initialization/finite_width": ("square().mean(dim=1", "square().mean(dim=0"),
    "weight_initialization/qk_norm": ("log_softmax(dim=1)", "log_softmax(dim=0)"),
}
"""Experiment: the code, and the code with the fault."""

SCALES = (
    "activation_functions/dying_by_learning_rate",
    "batch_normalization/gradient_growth",
    "exploding_gradients/clipping_rescues",
    "exploding_gradients/residual_growth",
    "he_initialization/thirty_layers",
    "vanishing_gradients/adam_moves_the_wall",
    "vanishing_gradients/lstm_forget_bias",
    "vanishing_gradients/per_layer_factor",
    "vanishing_gradients/training_stalls",
    "vanishing_gradients/weight_gradients",
    "weight_initialization/depth_and_gain",
    "weight_initialization/lsuv",
    "weight_initialization/norm_placement",
    "weight_initialization/orthogonal_convolution",
    "weight_initialization/phase_diagram",
    "weight_initialization/trainable_depth",
    "xavier_initialization/after_the_first_step",
    "xavier_initialization/both_directions",
    "xavier_initialization/histograms",
    "xavier_initialization/layer_jacobian",
    "xavier_initialization/sigmoid_depth",
    "xavier_initialization/sigmoid_gain",
    "xavier_initialization/tanh_gain",
)

RATES = (
    "activation_functions/dying_by_learning_rate",
    "activation_functions/wrong_bias",
    "batch_normalization/covariate_shift",
    "batch_normalization/depth_limit",
    "batch_normalization/effective_learning_rate",
    "batch_normalization/running_statistics",
    "batch_normalization/small_batches",
    "exploding_gradients/clip_direction",
    "exploding_gradients/clipping_rescues",
    "he_initialization/thirty_layers",
    "vanishing_gradients/adam_moves_the_wall",
    "vanishing_gradients/training_stalls",
    "weight_initialization/coordinate_check",
    "weight_initialization/depth_and_gain",
    "weight_initialization/lazy_start",
    "weight_initialization/lora",
    "weight_initialization/mup_transfer",
    "weight_initialization/new_head",
    "weight_initialization/output_bias",
    "weight_initialization/symmetry",
    "weight_initialization/trainable_depth",
    "xavier_initialization/after_the_first_step",
    "xavier_initialization/sigmoid_depth",
    "xavier_initialization/sigmoid_gain",
)

INITIALIZERS = {
    "kaiming_normal_": 0.5**0.5,
    "kaiming_uniform_": 0.5**0.5,
    "normal_": 2**0.5,
    "uniform_": 2**0.5,
    "xavier_normal_": 2**0.5,
    "xavier_uniform_": 2**0.5,
}
"""By what the fault multiplies the weights: He becomes Xavier, and Xavier becomes He."""

FAULTS = (
    *((name, "scale") for name in SCALES),
    *((name, "rate") for name in RATES),
    *((name, "axis") for name in AXES),
)


ROBUST = {
    (
        "activation_functions/dying_by_learning_rate",
        "scale",
    ): "what kills is the rate; at these two scales all claims hold",
    (
        "batch_normalization/gradient_growth",
        "scale",
    ): "a normalization takes no notice of the scale: that is its subject",
    ("batch_normalization/effective_learning_rate", "rate"): "the law holds at any rate",
    ("weight_initialization/mup_transfer", "rate"): "the claims are ratios of two best rates",
    ("batch_normalization/shattered_gradients", "axis"): "both means are near zero",
    ("vanishing_gradients/skip_identity", "axis"): "both axes are long, and the angle is the same",
}
"""Faults that no claim can notice, since what the experiment states is true with them too."""


def load(name: str, fault: str) -> types.ModuleType:
    """The experiment as a module of its own, so that no fault stays."""
    topic, _, short = name.partition("/")
    path = Path("snippets", topic, f"experiment_{short}.py")
    text = (ROOT / path).read_text(encoding="utf-8")
    if fault == "axis":
        old, new = AXES[name]
        if text.count(old) != 1:
            raise ValueError(f"{path}: {old!r} stands there {text.count(old)} times")
        text = text.replace(old, new)
    module = types.ModuleType(f"planted_{short}")
    sys.modules[module.__name__] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


@contextlib.contextmanager
def planted(module: types.ModuleType, fault: str):
    """The fault, while the experiment runs."""
    with contextlib.ExitStack() as stack:
        if fault == "scale":
            for name, factor in INITIALIZERS.items():
                for place in (nn.init, module):  # an experiment may import a file to copy by the same name
                    if hasattr(place, name):
                        stack.enter_context(mock.patch.object(place, name, _times(getattr(place, name), factor)))
        if fault == "rate":
            for optimizer in (torch.optim.SGD, torch.optim.Adam):
                stack.enter_context(mock.patch.object(optimizer, "step", _ten_times(optimizer.step)))
        yield


def _times(initializer: Callable[..., Tensor], factor: float) -> Callable[..., Tensor]:
    def scaled(tensor: Tensor, *args, **more) -> Tensor:
        initializer(tensor, *args, **more)
        with torch.no_grad():
            return tensor.mul_(factor)

    return scaled


def _ten_times(step: Callable) -> Callable:
    def far(self, *args, **more):
        for group in self.param_groups:
            group["lr"] *= 10
        try:
            return step(self, *args, **more)
        finally:
            for group in self.param_groups:
                group["lr"] /= 10

    return far


def noticed(name: str, fault: str) -> tuple[int, int]:
    """How many claims of the experiment fail, and how many there are; all, where the experiment itself fails."""
    module = load(name, fault)
    try:
        with planted(module, fault):
            measured = module.measure()
    except Exception:
        return len(module.CLAIMS), len(module.CLAIMS)
    failed = 0
    for claim in module.CLAIMS:
        try:
            claim.check(measured)
        except Exception:
            failed += 1
    return failed, len(module.CLAIMS)


def main(parts: list[str]) -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    survivors, planted_faults = [], 0
    for name, fault in FAULTS:
        if parts and not any(part in name for part in parts):
            continue
        failed, claims = noticed(name, fault)
        planted_faults += 1
        print(f"{name}, {fault}: {failed} of {claims} claims fail", flush=True)
        if not failed:
            survivors.append(f"{name}, {fault}: {ROBUST.get((name, fault), 'a claim should notice')}")
    print(f"\n{planted_faults - len(survivors)} of {planted_faults} planted faults are noticed.")
    print(*(f"not noticed: {survivor}" for survivor in survivors), sep="\n")
    return any(survivor.endswith("a claim should notice") for survivor in survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
