"""What may make a resumed run come out differently."""

import pytest

from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.origin import schedule_differences

RATE = "its learning rate went the way of 3 epochs and goes on that of 5"
AVERAGE = "its average went the way of 3 epochs and goes on that of 5"
SMALL = "its epochs on small images were the first 1 and are the first 2"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, []),
        ({"schedule": "cosine"}, [RATE]),
        ({"averaging": "lookahead"}, [AVERAGE]),
        ({"averaging": "ema"}, []),
        ({"small_images": 0.4}, [SMALL]),
        ({"small_images": 0.1}, []),
        ({"schedule": "linear", "averaging": "lookahead", "small_images": 0.4}, [RATE, AVERAGE, SMALL]),
    ],
)
def test_other_epochs_bend_what_goes_by_their_number(settings, says):
    config = TrainConfig(epochs=5, model="speednet-32", **settings)
    assert schedule_differences({"epochs": 3}, config) == says
    assert schedule_differences({"epochs": 5}, config) == []
