import copy
import pickle

import pytest
import torch
from torch import nn

from snippets.batch_normalization.freeze_batch_norm_pytorch import freeze_batch_norm_


def model() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
        return nn.Sequential(block, nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def batch() -> torch.Tensor:
    return 5.0 + torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(1))


def statistics(net: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in net.buffers()]


def test_frozen_norms_keep_and_use_their_statistics_in_training():
    net = model()
    freeze_batch_norm_(net)
    before = statistics(net)
    net.train()
    hidden = net[:3](batch())
    assert all(torch.equal(old, new) for old, new in zip(before, net.buffers(), strict=True))
    torch.testing.assert_close(hidden, model().eval()[:3](batch()))


def test_their_parameters_do_not_learn_and_all_others_do():
    net = model()
    freeze_batch_norm_(net)
    net.train()(batch()).square().sum().backward()
    learned = [name for name, parameter in net.named_parameters() if parameter.grad is not None]
    assert learned == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]


def test_everything_else_stays_in_training_mode():
    net = model()
    freeze_batch_norm_(net)
    net.train()(batch())
    assert net[3].training and net[0].training and not net[2].training


def test_without_it_both_usual_ways_leak():
    """The two that the docstring warns of."""
    net = model().requires_grad_(False).train()
    before = statistics(net)
    net(batch())
    assert not torch.equal(before[0], statistics(net)[0])
    net[2].eval()
    net.train()
    assert net[2].training


def test_handles_take_it_back():
    net = model()
    handles = freeze_batch_norm_(net).reached
    assert len(handles) == 2
    for handle in handles.values():
        handle.remove()
    before = statistics(net)
    net.train()(batch())
    assert not torch.equal(before[0], statistics(net)[0])


def test_it_names_what_it_froze_and_what_else_keeps_statistics():
    net = nn.Sequential(
        model(), nn.InstanceNorm1d(3, track_running_stats=True), nn.InstanceNorm1d(3), nn.GroupNorm(1, 3)
    )
    reached, left = freeze_batch_norm_(net)
    assert list(reached) == ["0.0.1", "0.2"]
    assert left == {"1": "keeps running statistics, but is a InstanceNorm1d"}


def test_copies_stay_frozen():
    net = model()
    freeze_batch_norm_(net)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        before = statistics(twin)
        twin.train()(batch())
        assert all(torch.equal(old, new) for old, new in zip(before, twin.buffers(), strict=True))


def test_a_norm_without_statistics_is_refused_and_nothing_is_changed():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(ValueError, match="model must keep running statistics .* '1' does not"):
        freeze_batch_norm_(net)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_lazy_norm_is_refused_until_it_has_seen_a_batch():
    net = nn.Sequential(nn.Linear(4, 3), nn.LazyBatchNorm1d())
    with pytest.raises(ValueError, match="model must have seen a batch: '1' is lazy"):
        freeze_batch_norm_(net)
    net(torch.randn(5, 4))
    assert len(freeze_batch_norm_(net).reached) == 1


def test_a_compiled_model_would_not_see_it():
    compiled, inside = torch.compile(model(), backend="eager"), model()
    inside.compile(backend="eager")
    for net in (compiled, inside, nn.Sequential(compiled)):
        with pytest.raises(ValueError, match="model must not be compiled or scripted yet"):
            freeze_batch_norm_(net)
