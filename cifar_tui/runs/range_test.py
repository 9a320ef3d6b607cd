"""`LiveRangeTest`: a learning-rate range test in a thread of this process."""

import threading
from pathlib import Path

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import CancelledError, RunFailedError, UserError
from cifar_tui.engine.events import Phase, PhaseChanged, RunEnded, StepsDone
from cifar_tui.engine.optim.lr_range import LrRange, LrSuggestion, RangePoint, suggest
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.internal_error import unforeseen_error
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.state import STOPPED, RunSnapshot, RunState
from cifar_tui.terminal.process_tuning import collect_everything, gc_frozen


class LiveRangeTest:
    """A range test in a thread, which never waits for a screen; it writes nothing and has no folder.

    Args:
        config: the settings of the run that the learning rate is for.
        lr_range: the learning rates.

    Attributes:
        config: likewise.
        lr_range: likewise.
        suggestion: what its points suggest, or why they do not; None until it has ended, and if it failed.
    """

    def __init__(self, config: TrainConfig, lr_range: LrRange) -> None:
        self.config = config
        self.lr_range = lr_range
        self.suggestion: LrSuggestion | str | None = None
        self._points: list[RangePoint] = []
        self._state = RunState()
        self._control = RunControl()
        self._thread = threading.Thread(target=self._run, name="cifar-tui-lr", daemon=True)

    def start(self) -> None:
        """Start the test; once."""
        self._thread.start()

    @property
    def live(self) -> bool:
        """Whether its thread is alive."""
        return self._thread.is_alive()

    @property
    def folder(self) -> Path | None:
        """None: nothing is kept."""
        return None

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the thread to return; true if it has."""
        self._thread.join(seconds)
        return not self.live

    def request(self, request: Request) -> None:
        """Cancel the test, on `Request.STOP`; it takes no other request."""
        self._control.request(request)

    def snapshot(self) -> RunSnapshot:
        """Return how far it is, what it loads and how it ended."""
        return self._state.snapshot()

    def log_since(self, index: int) -> list[LogLine]:
        """Return the log lines from number `index` on."""
        return self._state.log_since(index)

    def points(self) -> list[RangePoint]:
        """Return the steps so far."""
        return self._points.copy()

    def _run(self) -> None:
        exit_code, message = 0, ""
        try:
            self._test()
        except CancelledError:
            message = STOPPED
        except UserError as error:
            exit_code, message = error.exit_code, str(error)
        except Exception as error:  # noqa: BLE001 - a thread must not end silently
            exit_code = RunFailedError.exit_code
            message = unforeseen_error(error, saved=None, folder=None, emit=self._state.apply)
        self._state.apply(PhaseChanged(phase=Phase.FAILED if exit_code else Phase.DONE, message=message))
        self._state.apply(RunEnded(exit_code=exit_code, error=message if exit_code else ""))

    def _test(self) -> None:
        self._state.apply(PhaseChanged(phase=Phase.LOADING, message="PyTorch"))
        collect_everything()  # the garbage of an earlier run
        with gc_frozen():
            from cifar_tui.engine.training.range_test import RangeTestSession

        session = RangeTestSession(
            config=with_absolute_folders(self.config), emit=self._state.apply, control=self._control
        )
        session.test(self.lr_range, self._report)
        self.suggestion = suggest(self._points, self.lr_range.steps)

    def _report(self, point: RangePoint, train_seconds: float) -> None:
        self._points.append(point)
        self._state.apply(StepsDone(step=point.step, epoch=1, batch=point.step, train_seconds=train_seconds))
