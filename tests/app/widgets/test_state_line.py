"""The line that says what a run is doing."""

from cifar_tui.app.widgets.state_line import state_line
from cifar_tui.engine.events import Phase, PhaseChanged
from tests.runs.made_events import STARTED, finished, folded


def test_a_run_that_was_stopped_says_where_and_is_not_done():
    stopped = finished(completed=False, step=100)
    done = PhaseChanged(phase=Phase.DONE, message="stopped and saved at step 100 of 300")
    line = state_line(folded(STARTED, stopped, done).snapshot()).plain
    assert line == " ■ stopped at step 100 of 300  cpu"
    evaluated = PhaseChanged(phase=Phase.DONE, message="evaluated the saved weights")
    line = state_line(folded(STARTED, stopped, evaluated).snapshot()).plain
    assert line == " ■ stopped at step 100 of 300  evaluated the saved weights · cpu"
    assert state_line(folded(STARTED, finished(), evaluated).snapshot()).plain.startswith(" ✓ done")
