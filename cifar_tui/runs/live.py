"""`LiveRun`: a run in a thread of this process."""

import contextlib
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import CancelledError, RunFailedError, UserError
from cifar_tui.engine.events import (
    Alert,
    Evaluated,
    Event,
    Message,
    Phase,
    PhaseChanged,
    RunEnded,
    TrainingFinished,
    TrainingStarted,
)
from cifar_tui.engine.layout import LAST_FILE, LOG_FILE, REPORT_FILE, WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request, is_allowed
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.samples import read_predictions, write_predictions, write_samples
from cifar_tui.runs.disk.store import check_checkpoints, create_run_folder, read_name, write_config
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.source import Predictions, SampleBatch, build_sample_batch
from cifar_tui.runs.state import STOPPED, Curves, PendingRequest, RunSnapshot, RunState, with_pending
from cifar_tui.terminal.process_tuning import collect_everything, gc_frozen

if TYPE_CHECKING:
    from cifar_tui.engine.session import Session
    from cifar_tui.runs.disk.run_writer import RunWriter


class LiveRun:
    """A training or evaluation run in a thread of this process: a `RunSource`.

    The thread appends its events to the event log and folds them into a `RunState`; it never waits for a
    screen. It also imports torch, so that a `LiveRun` is created at once.

    Args:
        config: the settings.
        checkpoints: the folder in which the run's folder is created.
        interactive: whether a user can resume a run that paused itself; otherwise it fails instead.
        on_folder: called with the run's folder once this process owns it, in the run's thread.
        resume: the folder of a run to resume or to evaluate, instead of starting a new one.
        name: what to call a new run; "" for no name.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        checkpoints: Path,
        interactive: bool = True,
        on_folder: Callable[[Path], None] | None = None,
        resume: Path | None = None,
        name: str = "",
    ) -> None:
        self.config = config
        self._name = name
        self._folder = resume
        self._resume = resume
        self._checkpoints = checkpoints
        self._interactive = interactive
        self._on_folder = on_folder
        self._state = RunState()
        self._control = RunControl()
        self._session: Session | None = None
        self._evaluated: Predictions | None = None
        self._early_events: list[Event] = []
        self._writer: RunWriter | None = None
        self._log_failed = False
        self._thread: threading.Thread | None = None

    def start_training(self) -> None:
        """Start a training run, or resume one from its last checkpoint."""
        self._start(self._train if self._resume is None else self._resume_training)

    def start_evaluation(self, weights: Path) -> None:
        """Start an evaluation of the weights in a file."""
        self._start(lambda: self._evaluate(weights))

    def start_run_evaluation(self) -> None:
        """Start an evaluation of what the run to resume has saved; nothing is written to its folder."""
        self._start(self._evaluate_run)

    @property
    def folder(self) -> Path | None:
        """The run's folder; None before the images are loaded."""
        return self._folder

    @property
    def live(self) -> bool:
        """Whether the run's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def name(self) -> str:
        """The name that the user gave the run, or ""."""
        return self._name if self._folder is None else read_name(self._folder)

    @property
    def ownership(self) -> str:
        """Empty: this process owns the run."""
        return ""

    @property
    def can_evaluate_saved(self) -> bool:
        """Whether training has ended and left weights."""
        return not self.live and self._state.snapshot().checkpoint is not None

    @property
    def session(self) -> "Session | None":
        """The engine's side of the run; None until torch is imported."""
        return self._session

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the run's thread to return; true if it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.live

    def snapshot(self) -> RunSnapshot:
        """Return the state of the run."""
        requested = None
        if self._control.stop_requested:
            requested = PendingRequest.STOP
        elif self._control.paused:
            requested = PendingRequest.PAUSE
        return with_pending(self._state.snapshot(), requested)

    def curves(self) -> Curves:
        """Return the curves of the charts."""
        return self._state.curves()

    def log_since(self, index: int) -> list[LogLine]:
        """Return the log lines from number `index` on."""
        return self._state.log_since(index)

    def request(self, request: Request) -> None:
        """Send `request` to the run; see `RunSource.request`."""
        if request is Request.EVALUATE and self.can_evaluate_saved:
            self._control = RunControl()
            self._start(self._evaluate_saved)
        else:
            self._control.request(request)

    def sample_batch(self, number: int) -> SampleBatch | None:
        """Return batch `number` of the test images, which wraps around; None before they are loaded."""
        session = self._session
        dataset = session.dataset if session is not None else None
        if dataset is None:
            return None
        return build_sample_batch(
            number,
            images=dataset.test.images.permute(0, 2, 3, 1).numpy(),
            targets=dataset.test.targets.numpy(),
            class_names=dataset.class_names,
            snapshot=self._state.snapshot(),
            evaluated=self._evaluated,
        )

    def _start(self, work: Callable[[], str]) -> None:
        if self.live:
            raise AssertionError("a run has one thread")
        self._thread = threading.Thread(target=self._run, args=(work,), name="cifar-tui-run", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], str]) -> None:
        """Do `work`, which returns a closing message, and report how it ended."""
        exit_code = 0
        try:
            message = work()
        except CancelledError:
            message = STOPPED
        except UserError as error:
            exit_code, message = error.exit_code, str(error)
        except Exception as error:  # noqa: BLE001 - a thread must not end silently
            exit_code, message = RunFailedError.exit_code, self._report_internal_error(error)
        self._emit(PhaseChanged(phase=Phase.FAILED if exit_code else Phase.DONE, message=message))
        self._emit(RunEnded(exit_code=exit_code, error=message if exit_code else ""))
        self._release()

    def _train(self) -> str:
        check_checkpoints(self._checkpoints)
        finished = self._open_session().train(self._create_folder, interactive=self._interactive)
        return self._closing_message(finished)

    def _resume_training(self) -> str:
        folder = self._resumed_folder()
        self._acquire(folder)
        self._read_earlier_events(folder)
        session = self._open_session()
        from cifar_tui.engine.checkpoint.files import load_training_state

        finished = session.train(
            lambda: folder,
            interactive=self._interactive,
            resume_from=load_training_state(folder / LAST_FILE),
        )
        return self._closing_message(finished)

    def _resumed_folder(self) -> Path:
        if self._resume is None:
            raise AssertionError("there is no run to resume")
        return self._resume

    def _read_earlier_events(self, folder: Path) -> None:
        for event in read_events(folder):
            self._state.apply(event, earlier=True)

    def _closing_message(self, finished: TrainingFinished) -> str:
        if finished.completed:
            return ""
        started = self._state.snapshot().started
        of_total = "" if started is None else f" of {started.total_steps:,}"
        return f"{STOPPED} and saved at step {finished.step:,}{of_total}"

    def _evaluate(self, weights: Path) -> str:
        self._open_session().evaluate_file(weights)
        return f"evaluated {weights}"

    def _evaluate_run(self) -> str:
        folder = self._resumed_folder()
        self._read_earlier_events(folder)
        saved = self._state.snapshot().checkpoint
        self._open_session().evaluate_file(folder / WEIGHTS_FILE, step=saved.step if saved is not None else 0)
        return "evaluated the saved weights"

    def _evaluate_saved(self) -> str:
        saved = self._state.snapshot().checkpoint
        if self._session is None or self._folder is None or saved is None:
            raise AssertionError("there are no saved weights")
        self._acquire(self._folder)
        self._session.control = self._control
        self._session.evaluate_file(
            self._folder / WEIGHTS_FILE, step=saved.step, report_to=self._folder / REPORT_FILE
        )
        return "evaluated the saved weights"

    def _open_session(self) -> "Session":
        self._emit(PhaseChanged(phase=Phase.LOADING, message="PyTorch"))
        collect_everything()  # the garbage of an earlier run
        with gc_frozen():
            from cifar_tui.engine.session import Session

        self._session = Session(config=self.config, emit=self._emit, control=self._control)
        return self._session

    def _create_folder(self) -> Path:
        folder = create_run_folder(self._checkpoints, self.config, name=self._name)
        self._acquire(folder)
        self._folder = folder
        self._write_samples(folder)
        return folder

    def _update_folder(self, folder: Path) -> None:
        """Write the settings and images of a resumed run, now that its checkpoint is known to fit them."""
        write_config(folder, self.config)
        classes = self._write_samples(folder)
        self._evaluated = read_predictions(folder, classes=classes)

    def _write_samples(self, folder: Path) -> int:
        """Write the test images into the run's folder and return their number of classes."""
        dataset = self._session.dataset if self._session is not None else None
        if dataset is None:
            raise AssertionError("the images are loaded before the folder is created")
        write_samples(folder, dataset.test)
        return len(dataset.class_names)

    def _keep_predictions(self, step: int) -> None:
        """Keep what the evaluation after `step` predicted; an attached dashboard reads it from the folder."""
        report = self._session.report if self._session is not None else None
        if report is None:
            raise AssertionError("an evaluation leaves its report")
        self._evaluated = Predictions(
            step=step or None,  # unknown for a file of weights
            predicted=report.predicted.numpy(),
            confidences=report.confidences.numpy(),
        )
        if self._folder is not None and self._writer is not None:
            with contextlib.suppress(OSError):  # the event log reports a full disk
                write_predictions(self._folder, self._evaluated)

    def _acquire(self, folder: Path) -> None:
        """Take ownership of the run's folder and log the events so far."""
        from cifar_tui.runs.disk.run_writer import RunWriter  # not needed for the first frame

        self._writer = RunWriter(folder, self._state, self._answer)
        for event in self._early_events:
            self._log(event)
        self._early_events.clear()
        if self._on_folder is not None:
            self._on_folder(folder)

    def _release(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                text = f"cannot write the end of the event log: {error.strerror}"
                self._state.apply(Alert(text=f"{text}; free disk space or make the folder writable"))

    def _answer(self, request: Request) -> str | None:
        """Carry out a request of another process; return the reason if it is refused."""
        snapshot = self._state.snapshot()
        if not is_allowed(request, snapshot, live=self.live):
            reason = "training has ended" if snapshot.finished else f"the run is {snapshot.phase}"
            return f"cannot {request.replace('_', ' ')}: {reason}"
        self.request(request)
        return None

    def _emit(self, event: Event) -> None:
        if isinstance(event, Evaluated):
            self._keep_predictions(event.step)
        if isinstance(event, TrainingStarted) and self._resume is not None:
            self._update_folder(self._resume)
        self._state.apply(event)
        if self._writer is not None:
            self._log(event)
        elif self._folder is None and not event.transient:
            self._early_events.append(event)

    def _log(self, event: Event) -> None:
        """Append to the event log; if the disk is full, report it once and keep training."""
        if self._writer is None:
            return
        try:
            self._writer.append(event)
        except OSError as error:
            if not self._log_failed:
                self._log_failed = True
                text = f"cannot write the event log: {error.strerror}. The run continues; retrying"
                self._state.apply(Alert(text=text))
        else:
            self._log_failed = self._log_failed and self._writer.behind

    def _report_internal_error(self, error: Exception) -> str:
        """Write the traceback to the run's log file, or to the log without one, and summarize it."""
        details = "".join(traceback.format_exception(error))
        summary = f"internal error ({type(error).__name__}: {error})"
        if self._folder is not None:
            path = self._folder / LOG_FILE
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(details)
            except OSError as unwritable:
                text = f"cannot write '{path}': {unwritable.strerror}"
                self._emit(Alert(text=f"{text}; free disk space or make the folder writable"))
            else:
                return f"{summary}; details in '{path}'"
        for line in details.splitlines():
            self._emit(Message(text=line))
        return summary
