"""What the owner reports between two lines of its event log."""

from cifar_tui.engine.events import EvaluationProgress, LoadingProgress
from cifar_tui.runs.progress import Progress, progress_of, with_newest_point, with_progress
from tests.runs.made_events import STARTED, folded, point

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
    evaluating = EvaluationProgress(done=500, total=1000)
    shown = with_progress(BEHIND.snapshot(), Progress(step=0, loading=loading, evaluating=evaluating))
    assert (shown.step, shown.loading, shown.evaluating) == (100, loading, evaluating)


def test_the_curves_end_at_the_newest_point():
    curves = with_newest_point(BEHIND.curves(), OWNER.snapshot().point)
    assert curves == OWNER.curves()
    assert with_newest_point(curves, BEHIND.snapshot().point) == curves
    assert with_newest_point(curves, None) == curves
