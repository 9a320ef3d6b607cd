"""The cursor reads out what the curves have at a step."""

from cifar_tui.app.charts.cursor import read, reading_line
from cifar_tui.runs.curves import Curves

CURVES = Curves(
    loss=[(50, 2.0), (100, 1.5), (150, 1.25)],
    train_accuracy=[(50, 0.2), (100, 0.4), (150, 0.45)],
    test_accuracy=[(100, 0.4771)],
    learning_rate=[(50, 0.1), (150, 0.01)],
    train_seconds=[(50, 30.0), (100, 60.0), (150, 95.0)],
    steps_per_epoch=100,
)


def test_everything_that_is_known_is_read_out_on_one_line() -> None:
    assert reading_line(read(CURVES, 100)) == (
        "step 100 · epoch 1.00 · 1 m 00 s · loss 1.500 · train 40.0 % · test 47.71 % · lr 0.1"
    )


def test_a_test_accuracy_from_an_earlier_step_says_so() -> None:
    assert "test 47.71 % (epoch 1) · lr 0.01" in reading_line(read(CURVES, 150))
    assert "test" not in reading_line(read(CURVES, 50)), "it was not evaluated yet"


def test_what_is_not_known_is_left_out() -> None:
    assert reading_line(read(Curves(loss=[(7, 0.5)]), 7)) == "step 7 · loss 0.500"
