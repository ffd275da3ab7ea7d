import pytest

from snippets.diagnostics.check_model_pytorch import ADVICE
from snippets.laboratory.planted_faults import FAULTS


def test_there_are_enough_faults_and_each_has_a_finding_to_name_it():
    assert len(FAULTS) >= 20
    assert {fault.code for fault in FAULTS.values()} == set(ADVICE)


@pytest.mark.parametrize("name", ["VGG without its batch norm, default", "ResNet without its batch norm"])
def test_no_normalization_is_left(name):
    from torch import nn

    assert not any(isinstance(module, nn.BatchNorm2d) for module in FAULTS[name].make().model.modules())
