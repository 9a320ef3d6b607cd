"""`cifar-tui bench tutorial` and `presets`, for short trainings."""

import math

import pytest

from cifar_tui.bench.engine_loop import EngineRun, EngineStart, check_losses, rates
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.presets import measure_presets
from cifar_tui.bench.report import spread
from cifar_tui.bench.tutorial import TutorialBench, measure_tutorial
from cifar_tui.engine.config.schema import PRESETS
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import LossPoint

START = EngineStart(load_seconds=1.0, compile_seconds=1.0, first_point_seconds=3.0)
FALLING = [2.3 - k / 40 for k in range(40)]


def points(*steps_and_seconds, steps=10, images=40):
    """Points of the chart at (step, seconds of training)."""
    return [
        LossPoint(
            step=step, steps=steps, epoch=1, batch=step, loss=1.0, accuracy=0.5,
            learning_rate=0.001, images=images, train_seconds=seconds,
        )
        for step, seconds in steps_and_seconds
    ]  # fmt: skip


@pytest.fixture(scope="module")
def tutorial():
    options = BenchOptions(device="cpu")
    return measure_tutorial(
        options, rounds=1, turns=2, turn_seconds=0.3, warm_up_steps=20, warm_up_seconds=0.2
    )


def test_the_engine_and_the_loop_are_measured_in_turn(tutorial):
    assert tutorial.plain_loop.n == tutorial.engine.n == tutorial.ratio.n == tutorial.eager_ratio.n == 1
    assert tutorial.plain_loop.median > 0
    assert tutorial.ratio.median == tutorial.engine.median / tutorial.plain_loop.median
    assert tutorial.device == "cpu"


def test_the_json_of_the_tutorial_has_everything(tutorial):
    values = tutorial.as_json()
    names = {"plain_loop_steps_per_second", "engine_steps_per_second", "ratio"}
    eager = {"eager_steps_per_second", "eager_ratio"}
    assert names | eager | {"backend"} <= values.keys()
    assert values["spreads"].keys() == names | eager
    assert values["limits"] == {"ratio": 3.0, "eager_ratio": 3.0}
    start = {name: found["median"] for name, found in values["start"].items()}
    assert 0 < start["load_seconds"] < start["first_point_seconds"]
    assert 0 < start["compile_seconds"] < start["first_point_seconds"] - start["load_seconds"]


@pytest.mark.parametrize(("device", "ratio", "met"), [("cpu", 3.0, True), ("cuda:0 GPU", 3.0, False)])
def test_a_gpu_is_held_to_more(device, ratio, met):
    taken = spread([ratio])
    bench = TutorialBench(
        plain_loop=taken,
        engine=taken,
        ratio=taken,
        backend="",
        eager=taken,
        eager_ratio=taken,
        device=device,
        starts=(START,),
    )
    assert bench.met is met
    assert bench.as_json()["limits"]["eager_ratio"] == (3.0 if device == "cpu" else None)


def test_rates_are_of_parts_of_the_time():
    taken = points((10, 1.0), (20, 2.0), (30, 3.0), (40, 5.0), (50, 7.0))
    assert rates(taken, 2) == [40.0, 20.0]
    assert rates(taken, 9) == [40.0, 40.0, 20.0, 20.0]


def test_steps_that_were_left_out_are_noticed():
    with pytest.raises(RunFailedError, match="left out steps"):
        rates(points((10, 1.0), (30, 2.0)), 1)
    with pytest.raises(RunFailedError, match="ended before"):
        rates(points((10, 1.0)), 1)


@pytest.mark.parametrize("losses", [[], [*FALLING, math.nan], FALLING[::-1], [2.3] * 40, [2.3, 2.3]], ids=str)
def test_a_training_that_was_none_is_noticed(losses):
    check_losses(FALLING, "it")
    check_losses([2.3], "it")
    with pytest.raises(RunFailedError, match="it did not train"):
        check_losses(losses, "it")


def test_weights_that_were_not_saved_are_noticed():
    run = EngineRun(
        moments=((0.0, 1),), images_per_second=(1.0,), losses=tuple(FALLING), saved_loss=math.nan, classes=3,
        device="cpu", backend="", start=START,
    )  # fmt: skip
    with pytest.raises(RunFailedError, match="did not save"):
        run.check()


def test_every_preset_is_measured(image_folder):
    options = BenchOptions(data=str(image_folder), data_dir=str(image_folder.parent / "data"), device="cpu")
    measured = measure_presets(options, seconds=0.001, warm_up_seconds=0.0)
    assert [speed.preset for speed in measured.speeds] == list(PRESETS)
    assert all(row.unit == "images/s" and row.spread.median > 0 for row in measured.figures())
    starts = [speed.start for speed in measured.speeds]
    assert all(0 < start.load_seconds < start.first_point_seconds < 60 for start in starts)
    assert measured.as_json()["by_preset"]["quick"]["start"]["first_point_seconds"] > 0


def test_a_preset_is_trained_to_its_end_in_full(image_folder):
    options = BenchOptions(
        data=str(image_folder),
        data_dir=str(image_folder.parent / "data"),
        device="cpu",
        preset="tutorial",
        full=True,
        runs=2,
    )
    measured = measure_presets(options, seconds=0.001, warm_up_seconds=0.0)
    whole = measured.as_json()["by_preset"]["tutorial"]["whole_runs"]
    assert {name: found["n"] for name, found in whole.items()} == {
        "accuracy": 2, "train_seconds": 2, "seconds": 2
    }  # fmt: skip
    assert 0 <= whole["accuracy"]["mean"] <= 1
    assert 0 < whole["train_seconds"]["mean"] < whole["seconds"]["mean"]
    assert [row.by_mean for row in measured.figures()] == [False, True, True, True]
