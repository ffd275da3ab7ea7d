import pytest
import torch

from snippets.laboratory import planted_losses as losses
from snippets.laboratory.healthy_models import build


@pytest.mark.parametrize(("both", "seen"), [(False, False), (True, True)])
def test_a_network_that_reads_backward_sees_the_next_word(both, seen):
    text = build(lambda: losses.Text(both), 0)
    words = torch.zeros(1, 5, dtype=torch.long)
    first, changed = text(words)[0, 0], text(words.index_fill(1, torch.tensor([1]), 7))[0, 0]
    assert torch.equal(first, changed) != seen


def test_the_loss_that_shifts_reads_the_next_token():
    text = torch.randint(50, (2, 6), generator=torch.Generator().manual_seed(0))
    right = torch.nn.functional.one_hot(text.roll(-1, 1), 50) * 50.0
    assert losses.shifted(right, text) < 1e-6 < 1 < losses.each_token(right, text)


def test_one_index_for_all_takes_the_values_of_other_examples():
    values, acted = torch.eye(3), (torch.tensor([0, 1, 2]), torch.ones(3))
    assert losses.of_each(values, acted) == 0
    assert losses.of_all(values, acted) == pytest.approx(6 / 9)


def test_a_better_policy_is_rewarded_more():
    acted = torch.tensor([0, 1]), torch.tensor([1.0, 2.0])
    assert losses.rewarded(torch.eye(2), acted) > losses.rewarded(torch.zeros(2, 2), acted)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, made in vars(losses).items()
        if getattr(made, "__annotations__", {}).get("return") is losses.Case and not name.startswith("_")
    ],
)
def test_a_case_depends_on_the_seed_alone(name):
    first, second = (build(getattr(losses, name), 0) for _ in range(2))
    assert all(
        torch.equal(one, two) for one, two in zip(first.model.parameters(), second.model.parameters(), strict=True)
    )
