"""The lines of the log."""

import pytest

from cifar_tui.engine.events import EpochFinished, Validated
from cifar_tui.runs.log_line import log_line


@pytest.mark.parametrize(
    ("loss", "shown"), [(1.0934, "1.093"), (0.00022, "0.00022"), (1e299, "1.00e+299"), (float("nan"), "nan")]
)
def test_a_loss_is_a_figure_of_a_few_characters_whatever_its_size(loss, shown):
    epoch = EpochFinished(epoch=1, step=10, loss=loss, accuracy=0.5, train_seconds=2.0)
    assert f"mean loss {shown}, mean training" in log_line(epoch).text
    validated = Validated(epoch=1, step=10, correct=5, total=10, loss=loss, best=False)
    assert log_line(validated).text.endswith(f"loss {shown}")
