"""`cifar-tui bench tutorial` and `presets`, with short trainings."""

from dataclasses import replace

import pytest

from cifar_tui.bench import tutorial
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.presets import images_per_second, measure_presets
from cifar_tui.bench.tutorial import measure_tutorial
from cifar_tui.cli.main import main
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.errors import RunFailedError
from tests.bench.loss_points import loss_points


@pytest.fixture
def options(image_folder):
    return BenchOptions(data=str(image_folder), data_dir=str(image_folder.parent / "data"), device="cpu")


def test_tutorial_compares_the_loop_eager_and_the_default_backend(options, monkeypatch):
    monkeypatch.setattr(tutorial, "_STEPS_TO_LEARN", 10**9)  # three classes of four images teach nothing
    report = measure_tutorial(options, rounds=1, turns=2, turn_seconds=0.3, warm_up_seconds=0.0)
    rows = {row.name: row for row in report.rows}
    default = rows["speedup of the default backend over the tutorial's loop"]
    assert all(row.median > 0 for row in report.rows)
    assert default.median == rows["default backend"].median / rows["the tutorial's own loop"].median
    assert default.at_least == 20
    assert rows["speedup of the eager backend over the tutorial's loop"].at_least is None
    assert "cpu" in report.title


@pytest.mark.parametrize("preset", PRESETS)
def test_the_speed_of_a_preset_is_measured_in_a_run_that_does_not_end_first(options, preset):
    """A fast GPU is done with all epochs of some presets in a second."""
    config = options.steady_config(preset)
    assert config.epochs == 100_000
    assert (config.eval_every, config.checkpoint_every_epochs, config.checkpoint_every_minutes) == (0, 0, 0)


def test_presets_are_measured_and_trained_to_the_end(options):
    options = replace(options, preset="tutorial", full=True, runs=1)
    report = measure_presets(options, seconds=0.001, warm_up_seconds=0.0)
    assert [(row.name, row.unit) for row in report.rows] == [
        ("tutorial", "images/s"),
        ("tutorial: test accuracy", "%"),
        ("tutorial: training time", "s"),
        ("tutorial: total time, launch to final evaluation", "s"),
    ]
    speed, accuracy, training, whole = report.rows
    assert speed.median > 0
    assert 0 <= accuracy.median <= 100
    assert 0 < training.median < whole.median


def test_a_user_error_of_a_training_is_one_sentence(capfd):
    assert main(["bench", "presets", "--preset", "tutorial", "--data", "/nowhere"]) == 3
    sentence = capfd.readouterr().err.splitlines()[-1]
    assert sentence.startswith("cifar-tui: a benchmark run failed: ")
    assert "/nowhere" in sentence


def test_speed_is_that_of_parts_of_the_training():
    points = loss_points(*[1.0] * 5, seconds=(1.0, 2.0, 3.0, 5.0, 7.0), images=40)
    assert images_per_second(points, 2) == [40.0, 20.0]
    assert images_per_second(points, 9) == [40.0, 40.0, 20.0, 20.0]
    with pytest.raises(RunFailedError, match="too few steps"):
        images_per_second(points[:1], 2)


def test_a_part_in_less_than_a_millisecond_is_measured_with_the_next_one():
    points = loss_points(*[1.0] * 5, seconds=(1.0, 1.0, 2.0, 3.0, 3.0), images=40)
    assert images_per_second(points, 4) == [80.0, 40.0]
    with pytest.raises(RunFailedError, match="too few steps"):
        images_per_second(points[:2], 2)
