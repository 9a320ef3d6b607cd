"""`cifar-tui bench start`, for a few images."""

import dataclasses

import pytest

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import spread
from cifar_tui.bench.start import measure_start


@pytest.fixture(scope="module")
def measured():
    return measure_start(BenchOptions(device="cpu"), rounds=1, train_images=200, test_images=60)


def test_what_is_measured_is_sane(measured):
    assert measured.images == 260
    assert 0.05 < measured.first_paint.median < 30
    assert 0.1 < measured.import_torch.median < 60
    assert 0.1 < measured.first_step.median < 60
    assert 0.1 < measured.cold_step.median < 60
    assert 0 < measured.loading.median <= measured.read_loading.median < 30


def test_the_json_of_the_start_has_everything(measured):
    values = measured.as_json()
    assert {
        "first_paint_seconds", "import_torch_seconds", "first_step_seconds", "first_step_ratio",
        "import_torch_torchvision_seconds", "cached_loading_seconds", "first_loading_seconds",
        "cold_first_step_seconds", "images", "device", "backend", "spreads", "limits",
    } <= values.keys()  # fmt: skip
    assert (values["device"], values["backend"]) == ("cpu", "eager steps")
    assert values["spreads"]["cold_first_step_seconds"]["n"] == 1


@pytest.mark.parametrize(
    "values",
    [{"paint_ratio": spread([0.41])}, {"step_ratio": spread([1.7])}, {"loading": spread([1.1])}],
    ids=lambda values: next(iter(values)),
)
def test_each_limit_is_one(measured, values):
    good = dataclasses.replace(
        measured, paint_ratio=spread([0.39]), step_ratio=spread([1.5]), loading=spread([0.9])
    )
    assert good.met
    assert not dataclasses.replace(good, **values).met
