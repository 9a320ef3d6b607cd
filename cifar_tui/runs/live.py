"""`LiveRun`: a run in a thread of this process."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.device.memory import release_gpu_memory
from cifar_tui.engine.errors import CancelledError, RunFailedError, UserError
from cifar_tui.engine.events import (
    Alert,
    Evaluated,
    Event,
    Message,
    Phase,
    PhaseChanged,
    RunEnded,
    TrainingStarted,
)
from cifar_tui.engine.layout import LAST_FILE, NAME_FILE, WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request, why_refused
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.membership import Membership, read_membership, write_membership
from cifar_tui.runs.disk.store import (
    check_checkpoints,
    create_run_folder,
    read_name,
    write_config,
    write_name,
)
from cifar_tui.runs.evaluated import EvaluatedImages
from cifar_tui.runs.internal_error import unforeseen_error
from cifar_tui.runs.log_line import LogLine
from cifar_tui.runs.results import Results
from cifar_tui.runs.resume_config import changes_since_checkpoint
from cifar_tui.runs.source import SampleBatch, SavedWeights, saved_weights
from cifar_tui.runs.state import STOPPED, PendingRequest, RunSnapshot, RunState, with_pending
from cifar_tui.terminal.process_tuning import collect_everything, gc_frozen

if TYPE_CHECKING:
    from cifar_tui.engine.disk.run_folder import RunFolder
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
        on_folder: called with the run's folder once this process owns it, and again where it is moved, in any
            thread.
        resume: the folder of a run to resume or to evaluate, instead of starting a new one.
        name: what to call a new run; "" for no name.
        membership: which run of a sweep a new one is; None for none.
        assume_class_order: see `Session`.
        edited_model: see `Session`.
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
        membership: Membership | None = None,
        assume_class_order: bool = False,
        edited_model: bool = False,
    ) -> None:
        self.config = config
        self._name = name
        self._membership = membership
        self._own_config = with_absolute_folders(config)
        self._folder: RunFolder | None = None
        self._file: SavedWeights | None = None
        self._resume = resume
        self._checkpoints = checkpoints
        self._interactive = interactive
        self._assume_class_order = assume_class_order
        self._edited_model = edited_model
        self._on_folder = on_folder or (lambda _: None)
        self._state = RunState()
        self._control = RunControl()
        self._session: Session | None = None
        self._images = EvaluatedImages()
        self._early_events: list[Event] = []
        self._writer: RunWriter | None = None
        self._log_failed = False
        self._thread: threading.Thread | None = None

    def start_training(self) -> None:
        """Start a training run, or resume one from its last checkpoint."""
        self._start(self._train if self._resume is None else self._resume_training)

    def start_evaluation(
        self, weights: Path, *, any_model: bool = False, trained_seed: int | None = None
    ) -> None:
        """Start an evaluation of the weights in a file; see `Session.evaluate_file`."""
        self._start(lambda: self._evaluate(weights, any_model=any_model, trained_seed=trained_seed))

    def start_run_evaluation(self) -> None:
        """Start an evaluation of what the run to resume has saved; nothing is written to its folder."""
        self._start(self._evaluate_run)

    @property
    def folder(self) -> Path | None:
        """The run's folder, where it is now; None before the images are loaded."""
        return self._resume if self._folder is None else self._folder.path

    @property
    def live(self) -> bool:
        """Whether the run's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def name(self) -> str:
        """The name that the user gave the run, or ""."""
        folder = self.folder
        return self._name if folder is None else read_name(folder)

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

    def sample_batch(self, number: int, among: Sequence[int] | None = None) -> SampleBatch | None:
        """Return batch `number` of the test images; see `RunSource.sample_batch`."""
        return self._images.sample_batch(number, among, self._state.snapshot())

    def wrong_samples(self) -> list[int]:
        """Return the positions in the test set of the images whose newest prediction is wrong."""
        return self._images.wrong_samples(self._state.snapshot())

    def results(self) -> Results | None:
        """Return the latest evaluation, the same object until there is another; None before the first."""
        return self._images.results(self._state.snapshot())

    def saved_weights(self) -> SavedWeights | None:
        """Return the weights on the disk, the latest ones; None before the first are saved."""
        dataset = self._images.dataset
        if self._file is not None:
            return replace(self._file, dataset=dataset)
        return saved_weights(self.folder, self._state.snapshot(), self._own_config, dataset)

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
            exit_code = RunFailedError.exit_code
            saved = self._state.snapshot().checkpoint
            message = unforeseen_error(error, saved=saved, folder=self.folder, emit=self._emit)
        release_gpu_memory()  # what an error held
        self._emit(PhaseChanged(phase=Phase.FAILED if exit_code else Phase.DONE, message=message))
        self._emit(RunEnded(exit_code=exit_code, error=message if exit_code else ""))
        self._release()

    def _train(self) -> str:
        check_checkpoints(self._checkpoints)
        self._open_session().train(self._create_folder, interactive=self._interactive)
        return self._state.snapshot().closing_message

    def _resume_training(self) -> str:
        folder = self._resumed_folder()
        self._acquire(folder)
        self._read_earlier_events(folder)
        session = self._open_session()
        from cifar_tui.engine.checkpoint.files import load_training_state

        state = load_training_state(folder / LAST_FILE)
        changes = changes_since_checkpoint(state["config"], self._own_config, run=folder.name)
        if changes:
            self._emit(Message(text=f"settings changed since the checkpoint: {changes}"))
        session.train(self._held_folder, interactive=self._interactive, resume_from=state)
        return self._state.snapshot().closing_message

    def _resumed_folder(self) -> Path:
        if self._resume is None:
            raise AssertionError("there is no run to resume")
        return self._resume

    def _held_folder(self) -> "RunFolder":
        if self._folder is None:
            raise AssertionError("the folder of the run is not owned yet")
        return self._folder

    def _read_earlier_events(self, folder: Path) -> None:
        for event in read_events(folder):
            self._state.apply(event, earlier=True)

    def _evaluate(self, weights: Path, *, any_model: bool, trained_seed: int | None) -> str:
        model = None if any_model else self._own_config.model
        self._file = SavedWeights(
            path=weights, step=None, config=self._own_config, model=model, edited_model=self._edited_model
        )
        self._open_session().evaluate_file(weights, any_model=any_model, trained_seed=trained_seed)
        return f"evaluated {weights}"

    def _evaluate_run(self) -> str:
        folder = self._resumed_folder()
        self._read_earlier_events(folder)
        saved = self._state.snapshot().checkpoint
        self._open_session().evaluate_file(
            folder / WEIGHTS_FILE,
            step=saved.step if saved is not None else 0,
            trained_seed=self._own_config.seed,
        )
        return "evaluated the saved weights"

    def _evaluate_saved(self) -> str:
        saved = self._state.snapshot().checkpoint
        folder = self.folder
        if self._session is None or folder is None or saved is None:
            raise AssertionError("there are no saved weights")
        self._acquire(folder)
        self._session.control = self._control
        self._session.evaluate_file(folder / WEIGHTS_FILE, step=saved.step, report_to=self._held_folder())
        return "evaluated the saved weights"

    def _open_session(self) -> "Session":
        self._emit(PhaseChanged(phase=Phase.LOADING, message="PyTorch"))
        collect_everything()  # the garbage of an earlier run
        with gc_frozen():
            from cifar_tui.engine.session import Session

        self._session = Session(
            config=self._own_config,
            emit=self._emit,
            control=self._control,
            assume_class_order=self._assume_class_order,
            edited_model=self._edited_model,
        )
        self._images.session = self._session
        return self._session

    def _create_folder(self) -> "RunFolder":
        folder = create_run_folder(
            self._checkpoints, self._own_config, name=self._name, membership=self._membership
        )
        self._acquire(folder)
        self._write_images(folder)
        return self._held_folder()

    def _update_folder(self, folder: Path) -> None:
        """Write the settings and images of a resumed run, now that its checkpoint is known to fit them."""
        write_config(folder, self._own_config)
        self._write_images(folder)
        self._images.read_predictions(folder)

    def _write_images(self, folder: Path) -> None:
        try:
            self._images.write_images(folder)
        except RunFailedError as error:
            self._emit(Alert(text=f"{error}. The run continues; an attached dashboard shows no images"))

    def _refill(self, folder: Path) -> None:
        """Write what a folder needs that was removed and made again, and have the run saved there."""
        write_config(folder, self._own_config)
        if self._name and not (folder / NAME_FILE).exists():
            with contextlib.suppress(UserError):  # a copy has it now
                write_name(folder, self._name)
        if self._membership is not None:
            write_membership(folder, self._membership)
        if self._images.dataset is not None:
            self._write_images(folder)
        self._images.write_predictions(folder)
        if self._state.snapshot().checkpoint is not None:
            self._control.request("save")

    def _keep_predictions(self, step: int) -> None:
        """Keep what the evaluation after `step` predicted; an attached dashboard reads it from the folder."""
        self._images.keep(step)
        folder = self.folder
        if folder is not None and self._writer is not None:
            with contextlib.suppress(OSError):  # the event log reports a full disk
                self._images.write_predictions(folder)

    def _acquire(self, folder: Path) -> None:
        """Take ownership of the run's folder and log the events so far."""
        from cifar_tui.runs.disk.run_writer import RunWriter  # not needed for the first frame

        writer = RunWriter(
            folder, self._state, self._answer, tell=self._emit, refill=self._refill, moved=self._on_folder
        )
        self._writer, self._folder = writer, writer.folder
        # for a folder that has to be made again
        self._name, self._membership = read_name(folder), read_membership(folder)
        for event in self._early_events:
            self._log(event)
        self._early_events.clear()
        writer.start()
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
        reason = why_refused(request, self._state.snapshot(), live=self.live)
        if reason is None:
            self.request(request)
        return reason

    def _emit(self, event: Event) -> None:
        if isinstance(event, Evaluated):
            self._keep_predictions(event.step)
        if isinstance(event, TrainingStarted) and self._resume is not None:
            self._update_folder(self._held_folder().path)
        self._state.apply(event)
        if self._writer is not None:
            self._log(event)
        elif self.folder is None and not event.transient:
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
