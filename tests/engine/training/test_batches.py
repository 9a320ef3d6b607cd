"""What an epoch trains on."""

import pytest

from cifar_tui.engine.config.schema import preset_config
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.training.batches import EpochSize, epoch_size


def size(model, count, batch_size):
    return epoch_size(create_model(model, num_classes=10), count, batch_size)


@pytest.mark.parametrize(
    ("name", "steps"), [("tutorial", 12_500), ("quick", 98), ("speedrun", 25), ("resnet18", 391), ("max", 49)]
)
def test_every_preset_trains_on_all_of_cifar10(name, steps):
    preset = preset_config(name)
    assert size(preset.model, 50_000, preset.batch_size) == EpochSize(images=50_000, steps=steps)


@pytest.mark.parametrize("model", ["resnet18", "airbench-tiny"])
def test_a_net_with_batch_normalisation_does_without_a_last_batch_below_a_quarter_of_the_others(model):
    assert size(model, 401, 200) == EpochSize(images=400, steps=2)
    assert size(model, 449, 200) == EpochSize(images=400, steps=2)
    assert size(model, 450, 200) == EpochSize(images=450, steps=3)
    assert size(model, 400, 200) == EpochSize(images=400, steps=2)


def test_a_batch_that_is_the_only_one_may_have_any_size():
    assert size("airbench-tiny", 3, 200) == EpochSize(images=3, steps=1)


def test_the_tutorials_net_trains_on_a_last_batch_of_any_size():
    assert size("net", 401, 200) == EpochSize(images=401, steps=3)
