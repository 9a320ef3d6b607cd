"""What may make a resumed run come out differently."""

import pytest
import torch

from cifar_tui.engine.checkpoint.provenance import (
    precision_differences,
    same_kind_of_device,
    schedule_differences,
)
from cifar_tui.engine.config.schema import TrainConfig

RATE = "its learning rate went the way of 3 epochs and goes on that of 5"
AVERAGE = "its average went the way of 3 epochs and goes on that of 5"
SMALL = "its epochs on small images were the first 1 and are the first 2"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, []),
        ({"lr_schedule": "cosine"}, [RATE]),
        ({"warmup_fraction": 0.1}, [RATE]),
        ({"weight_averaging": "lookahead"}, [AVERAGE]),
        ({"weight_averaging": "ema"}, []),
        ({"low_res_fraction": 0.4}, [SMALL]),
        ({"low_res_fraction": 0.1}, []),
        (
            {"lr_schedule": "linear", "weight_averaging": "lookahead", "low_res_fraction": 0.4},
            [RATE, AVERAGE, SMALL],
        ),
    ],
)
def test_other_epochs_bend_what_goes_by_their_number(settings, says):
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
        (None, "cpu", False),
    ],
)
def test_devices_are_of_one_kind_whatever_their_number_and_name(old, device, same):
    assert same_kind_of_device(old, torch.device(device)) is same


def test_another_precision_is_said_and_the_same_or_an_unknown_one_is_not():
    assert precision_differences("bf16", "fp32") == [
        "it computes in fp32, chosen for this device, and computed in bf16"
    ]
    assert precision_differences("bf16", "bf16") == precision_differences(None, "bf16") == []
