"""What can change the result of a resumed run is named."""

from dataclasses import replace

import pytest
import torch

from cifar_tui.engine.checkpoint.provenance import (
    describe_provenance,
    precision_differences,
    provenance_differences,
    same_kind_of_device,
    schedule_differences,
)
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit

RATE = "learning rate schedule over 5 epochs instead of 3"
AVERAGE = "lookahead decay schedule over 5 epochs instead of 3"
LOW_RES = "2 low-resolution epochs instead of 1"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, []),
        ({"lr_schedule": "cosine"}, [RATE]),
        ({"warmup_fraction": 0.1}, [RATE]),
        ({"weight_averaging": "lookahead"}, [AVERAGE]),
        ({"weight_averaging": "ema"}, []),
        ({"low_res_fraction": 0.4}, [LOW_RES]),
        ({"low_res_fraction": 0.1}, []),
        (
            {"lr_schedule": "linear", "weight_averaging": "lookahead", "low_res_fraction": 0.4},
            [RATE, AVERAGE, LOW_RES],
        ),
    ],
)
def test_another_number_of_epochs_changes_what_depends_on_it(settings, says):
    config = TrainConfig(epochs=5, model="airbench-tiny", **settings)
    assert schedule_differences({"epochs": 3}, config) == says
    assert schedule_differences({"epochs": 5}, config) == []


@pytest.mark.parametrize(
    ("old", "device", "same"),
    [
        ({"device": "cpu"}, "cpu", True),
        ({"device": "cuda:0 NVIDIA H100"}, "cuda:1", True),
        ({"device": "cuda:0 NVIDIA H100"}, "cpu", False),
        ({"device": "cpu"}, "cuda:0", False),
        ({}, "cpu", False),
    ],
)
def test_devices_of_one_type_are_of_the_same_kind(old, device, same):
    assert same_kind_of_device(old, torch.device(device)) is same


def test_another_precision_is_named_and_the_same_or_an_unknown_one_is_not():
    assert precision_differences("bf16", "fp32") == [
        "precision fp32, chosen for this device, instead of bf16"
    ]
    assert precision_differences("bf16", "bf16") == precision_differences(None, "bf16") == []


def test_every_difference_to_the_provenance_of_a_checkpoint_is_named(noise_dataset):
    old = describe_provenance(noise_dataset, "cpu", 1, "PyTorch")
    assert provenance_differences(old, old) == []
    images = noise_dataset.train.images.clone()
    images[-1, -1, -1, -1] ^= 1
    changed = replace(noise_dataset, train=ImageSplit(images=images, targets=noise_dataset.train.targets))
    new = describe_provenance(changed, "cuda:0 NVIDIA H100", 2, "numba")
    assert provenance_differences(old, new) == [
        "the training images differ",
        "device cuda:0 NVIDIA H100 instead of cpu",
        "backend numba instead of PyTorch",
        "2 threads instead of 1",
    ]
    assert "some of the validation images may have been trained on" in provenance_differences(
        old, new, val_size=5
    )
    assert provenance_differences(old, old, val_size=5) == []


def test_a_checkpoint_from_before_nets_of_the_users_is_of_a_registered_model(noise_dataset):
    new = describe_provenance(noise_dataset, "cpu", 1, "PyTorch")
    old = {name: value for name, value in new.items() if name != "model"}
    assert provenance_differences(old, new) == []
    assert provenance_differences(old, new | {"model": "5e1f"}) == ["the source of the model differs"]
