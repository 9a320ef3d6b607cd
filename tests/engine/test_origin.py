"""What may make a resumed run come out differently."""

import pytest

from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.origin import schedule_differences


@pytest.mark.parametrize(
    ("schedule", "before", "says"),
    [
        ("constant", 3, []),
        ("cosine", 5, []),
        ("cosine", 3, ["its learning rate went the way of 3 epochs and goes on that of 5"]),
    ],
)
def test_other_epochs_bend_the_learning_rate_where_there_is_a_schedule(schedule, before, says):
    config = TrainConfig(epochs=5, schedule=schedule)
    assert schedule_differences({"epochs": before}, config) == says
