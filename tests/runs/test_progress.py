"""What the owner reports between two lines of its event log."""

import math
from dataclasses import replace

import pytest

from cifar_tui.engine.events import EvaluationProgress, LoadingProgress, Phase, PhaseChanged
from cifar_tui.runs.curves import AccuracySoFar
from cifar_tui.runs.progress import progress_of, with_newest_points, with_progress
from cifar_tui.runs.state import RunProgress
from tests.runs.made_events import STARTED, evaluated, folded, point

BEHIND = folded(STARTED, point(50), point(100))
OWNER = folded(STARTED, point(50), point(100), point(150, loss=1.0))


def test_the_figures_of_the_owner_go_before_an_older_log():
    shown = with_progress(BEHIND.snapshot(), progress_of(OWNER.snapshot()))
    for name in (
        "step",
        "batch",
        "epoch",
        "loss",
        "learning_rate",
        "images_per_second",
        "train_seconds",
        "seconds_left",
    ):
        assert getattr(shown, name) == getattr(OWNER.snapshot(), name), name
    assert shown.step == 150


def test_a_newer_log_goes_before_the_figures_of_the_owner():
    assert with_progress(OWNER.snapshot(), progress_of(BEHIND.snapshot())) == OWNER.snapshot()


def test_progress_that_is_in_no_log_is_always_shown():
    loading = LoadingProgress(stage="decoding", done=1, total=2, unit="files")
    evaluating = EvaluationProgress(done=500, total=1000, correct=1, batch=1, batches=2)
    shown = with_progress(BEHIND.snapshot(), RunProgress(step=0, loading=loading, evaluating=evaluating))
    assert (shown.step, shown.loading, shown.evaluating) == (100, loading, evaluating)


def test_the_curves_end_at_the_newest_point():
    curves = with_newest_points(BEHIND.curves(), progress_of(OWNER.snapshot()))
    assert curves == OWNER.curves()
    assert with_newest_points(curves, progress_of(BEHIND.snapshot())) == curves
    assert with_newest_points(curves, RunProgress()) == curves


def test_an_evaluation_has_a_point_of_its_own_until_it_is_finished():
    done = EvaluationProgress(done=500, total=1000, correct=200, batch=1, batches=2)
    evaluating = (STARTED, point(100), PhaseChanged(phase=Phase.EVALUATING), done)
    owner = folded(*evaluating)
    margin = pytest.approx(1.96 * (0.24 / 500 / 2) ** 0.5)
    expected = AccuracySoFar(step=100, share=0.5, accuracy=0.4, margin=margin)
    assert owner.curves().test_so_far == expected
    behind = folded(STARTED, point(100)).curves()
    assert with_newest_points(behind, progress_of(owner.snapshot())) == owner.curves()
    assert folded(*evaluating, PhaseChanged(phase=Phase.DONE)).curves().test_so_far is None, "it was given up"
    assert folded(*evaluating, evaluated(100, 450)).curves().test_so_far is None


def test_a_loss_that_is_not_finite_ends_no_curve():
    curves = folded(STARTED, point(50), point(100, loss=math.nan)).curves()
    newest = replace(progress_of(OWNER.snapshot()), point=point(100, loss=math.nan))
    continued = with_newest_points(curves, newest)
    assert [step for step, _ in continued.loss] == [50]
    assert [step for step, _ in continued.train_accuracy] == [50, 100]
