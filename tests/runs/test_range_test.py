"""A range test in a thread: what it says while it runs, how it ends, and that nothing is written."""

import os

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase
from cifar_tui.engine.optim.lr_range import LrRange, suggest
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.range_test import LiveRangeTest


@pytest.fixture
def range_test(tmp_path, image_folder, monkeypatch):
    """Makes a range test over a folder of images; ends it after the test."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(steps=20, **settings):
        config = TrainConfig(**{"data": str(image_folder), "data_dir": "data", "device": "cpu", **settings})
        made.append(LiveRangeTest(config, LrRange(low=1e-5, high=0.01, steps=steps)))
        made[-1].start()
        return made[-1]

    yield make
    for test in made:
        test.request(Request.STOP)
        assert test.wait(60)


def test_it_ends_with_its_points_and_what_they_suggest(range_test, tmp_path):
    test = range_test()
    assert test.wait(60)
    points, snapshot = test.points(), test.snapshot()
    assert [point.step for point in points] == list(range(1, 21))
    assert test.suggestion == suggest(points, 20)
    assert snapshot.ended is not None
    assert (snapshot.ended.exit_code, snapshot.phase, snapshot.step) == (0, Phase.DONE, 20)
    assert snapshot.started is not None
    assert snapshot.started.total_steps == 20
    assert "backend eager" in " ".join(line.text for line in test.log_since(0))
    assert set(os.listdir(tmp_path)) <= {"images", "data"}


def test_a_request_to_stop_cancels_it(range_test):
    test = range_test(steps=100_000)
    while not test.points():
        assert not test.wait(0.01)
    test.request(Request.STOP)
    assert test.wait(60)
    assert test.suggestion is None
    assert len(test.points()) < 100_000
    assert test.snapshot().ended.exit_code == 0


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"data": "no/such/folder"}, 3, "no/such/folder"),
        ({"model": "nowhere.py:Net"}, 2, "nowhere.py"),
        ({"precision": "tf32"}, 2, "tf32"),
    ],
)
def test_an_error_is_one_sentence_with_its_code(range_test, settings, code, words):
    test = range_test(**settings)
    assert test.wait(60)
    ended = test.snapshot().ended
    assert ended.exit_code == code
    assert words in ended.error
    assert "\n" not in ended.error
    assert test.suggestion is None


def test_an_error_nobody_foresaw_does_not_end_the_thread_silently(range_test, monkeypatch):
    monkeypatch.setattr("cifar_tui.runs.range_test.suggest", lambda *_: 1 / 0)
    test = range_test()
    assert test.wait(60)
    assert test.snapshot().ended.exit_code == 4
    assert "internal error (ZeroDivisionError" in test.snapshot().ended.error
