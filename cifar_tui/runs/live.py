"""`LiveRun`: a run in a thread of this process."""

import contextlib
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import CancelledError, UserError
from cifar_tui.engine.events import Alert, Event, Message, Phase, PhaseChanged, RunEnded
from cifar_tui.engine.layout import LAST_FILE, LOG_FILE, REPORT_FILE, SAMPLES_FILE, WEIGHTS_FILE
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.event_log import DAMAGED, read_events
from cifar_tui.runs.disk.samples import write_samples
from cifar_tui.runs.disk.store import check_checkpoints, create_run_folder, write_config
from cifar_tui.runs.source import SAMPLE_BATCH, Sample, SampleBatch
from cifar_tui.runs.state import Curves, LogLine, PendingRequest, RunSnapshot, RunState, with_asked
from cifar_tui.terminal.process_tuning import collect_everything, gc_frozen

if TYPE_CHECKING:
    from cifar_tui.engine.events import TrainingFinished
    from cifar_tui.engine.session import Session
    from cifar_tui.runs.disk.run_writer import RunWriter


class LiveRun:
    """A training or an evaluation in a thread of its own: a `RunSource`.

    The thread appends to the event log and folds events into a `RunState`; it never waits for whoever looks
    on. torch is imported in that thread, so that making a `LiveRun` takes no time.

    Args:
        config: the settings.
        checkpoints: the folder in which a training makes its own.
        interactive: whether somebody can resume a run that paused itself; if not, it fails instead.
        on_folder: told the run's folder, in the run's thread, once there is one and it is this process's.
        resume: the folder of a run to go on with, instead of a new one.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        checkpoints: Path,
        interactive: bool = True,
        on_folder: Callable[[Path], None] | None = None,
        resume: Path | None = None,
    ) -> None:
        self.config = config
        self._folder = resume
        self._resume = resume
        self._checkpoints = checkpoints
        self._interactive = interactive
        self._on_folder = on_folder
        self._state = RunState()
        self._control = RunControl()
        self._session: Session | None = None
        self._early_events: list[Event] = []
        self._possession: RunWriter | None = None
        self._log_failed = False
        self._thread: threading.Thread | None = None

    def start_training(self) -> None:
        """Start the run's thread on a training, from its beginning or from the checkpoint to resume."""
        self._start(self._train)

    def start_evaluation(self, weights: Path) -> None:
        """Start the run's thread on an evaluation of the weights in a file."""
        self._start(lambda: self._evaluate(weights))

    @property
    def folder(self) -> Path | None:
        """The run's folder; None while it has none, as before its images are there."""
        return self._folder

    @property
    def live(self) -> bool:
        """Whether the run's thread still works."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def ownership(self) -> str:
        """Nothing to say: it is this process's own."""
        return ""

    @property
    def session(self) -> "Session | None":
        """The engine's side of the run; None until torch is imported."""
        return self._session

    def wait(self, seconds: float) -> bool:
        """Wait until the thread has returned, for at most `seconds`; true if it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.live

    def snapshot(self) -> RunSnapshot:
        """What the run looks like now."""
        asked = None
        if self._control.stop_requested:
            asked = PendingRequest.STOP
        elif self._control.paused:
            asked = PendingRequest.PAUSE
        return with_asked(self._state.snapshot(), asked)

    def curves(self) -> Curves:
        """The curves up to now."""
        return self._state.curves()

    def log_since(self, index: int) -> list[LogLine]:
        """The lines of the log from the one numbered `index` on."""
        return self._state.log_since(index)

    def request(self, request: Request) -> None:
        """Request something of the run; see `RunSource.request`."""
        if self.live or request is not Request.EVALUATE:
            self._control.request(request)
        elif self._state.snapshot().checkpoint is not None:
            self._control = RunControl()
            self._start(self._evaluate_again)

    def sample_batch(self, number: int) -> SampleBatch | None:
        """Batch `number` of the test images; None while there are no images. `number` wraps around."""
        session = self._session
        dataset = session.dataset if session is not None else None
        if session is None or dataset is None:
            return None
        count = -(-len(dataset.test) // SAMPLE_BATCH)
        first = number % count * SAMPLE_BATCH
        indices = range(first, min(first + SAMPLE_BATCH, len(dataset.test)))
        samples = self._state.snapshot().samples
        evaluated = self._state.snapshot().evaluated
        report = session.report
        predictions: dict[int, tuple[int, float]] = {}
        step = None
        if (
            report is not None
            and evaluated is not None
            and (samples is None or evaluated.step >= samples.step)
        ):
            step = evaluated.step or None  # a file of weights does not say how many steps are behind it
            predictions = {k: (int(report.predicted[k]), float(report.confidences[k])) for k in indices}
        elif samples is not None and indices.stop <= len(samples.predicted):
            step = samples.step
            predictions = {k: (samples.predicted[k], samples.confidences[k]) for k in indices}
        return SampleBatch(
            number=number % count,
            count=count,
            step=step,
            samples=tuple(
                Sample(
                    index=k,
                    image=dataset.test.images[k].permute(1, 2, 0).numpy(),
                    ground_truth=dataset.class_names[int(dataset.test.targets[k])],
                    predicted=dataset.class_names[predictions[k][0]] if k in predictions else None,
                    confidence=predictions[k][1] if k in predictions else None,
                )
                for k in indices
            ),
        )

    def _start(self, work: Callable[[], str]) -> None:
        if self.live:
            raise AssertionError("a run has one thread")
        self._thread = threading.Thread(target=self._run, args=(work,), name="cifar-tui-run", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], str]) -> None:
        """Do `work`, which returns the message to end with, and say how it ended whatever happens."""
        exit_code = 0
        try:
            message = work()
        except CancelledError:
            message = "stopped"
        except UserError as error:
            exit_code, message = error.exit_code, str(error)
        except Exception as error:  # noqa: BLE001 - nothing may end the thread without a word
            exit_code, message = 4, self._explain_defect(error)
        self._emit(PhaseChanged(phase=Phase.FAILED if exit_code else Phase.DONE, message=message))
        self._emit(RunEnded(exit_code=exit_code, error=message if exit_code else ""))
        self._give_up_folder()

    def _train(self) -> str:
        if self._resume is None:
            check_checkpoints(self._checkpoints)
            finished = self._open_session().train(self._create_folder, interactive=self._interactive)
        else:
            finished = self._train_on(self._resume)
        return "" if finished.completed else f"stopped and saved at step {finished.step:,}"

    def _train_on(self, folder: Path) -> "TrainingFinished":
        """Go on with the run in `folder`, from its last checkpoint."""
        self._own(folder)
        for event in read_events(folder):
            with contextlib.suppress(*DAMAGED):
                self._state.apply(event, earlier=True)
        session = self._open_session()
        from cifar_tui.engine.checkpoint.files import load_training_state

        state = load_training_state(folder / LAST_FILE)
        return session.train(self._keep_config, interactive=self._interactive, resume_from=state)

    def _keep_config(self) -> Path:
        """Write the settings that the resumed run goes on with, now that its images are there."""
        if self._folder is None:
            raise AssertionError("a resumed run has a folder")
        write_config(self._folder, self.config)
        self._keep_samples(self._folder)
        return self._folder

    def _evaluate(self, weights: Path) -> str:
        self._open_session().evaluate_file(weights)
        return f"evaluated {weights}"

    def _evaluate_again(self) -> str:
        saved = self._state.snapshot().checkpoint
        if self._session is None or self.folder is None or saved is None:
            raise AssertionError("only what a training saved is evaluated again")
        self._own(self.folder)
        self._session.control = self._control
        self._session.evaluate_file(
            self.folder / WEIGHTS_FILE, step=saved.step, report_to=self.folder / REPORT_FILE
        )
        return "evaluated the saved weights"

    def _open_session(self) -> "Session":
        self._emit(PhaseChanged(phase=Phase.LOADING, message="PyTorch"))
        collect_everything()  # that an earlier run left
        with gc_frozen():
            from cifar_tui.engine.session import Session

        self._session = Session(config=self.config, emit=self._emit, control=self._control)
        return self._session

    def _create_folder(self) -> Path:
        folder = create_run_folder(self._checkpoints, self.config)
        self._own(folder)
        self._folder = folder
        self._keep_samples(folder)
        return folder

    def _keep_samples(self, folder: Path) -> None:
        dataset = self._session.dataset if self._session is not None else None
        if dataset is None:
            raise AssertionError("a run has a folder once its images are loaded")
        write_samples(folder / SAMPLES_FILE, dataset)

    def _own(self, folder: Path) -> None:
        """Make the run this process's: lock, event log and control socket, and the log of what was before."""
        from cifar_tui.runs.disk.run_writer import RunWriter  # here, for the first frame needs none

        self._possession = RunWriter(folder, self.config, self._answer)
        for event in self._early_events:
            self._log(event)
        self._early_events.clear()
        if self._on_folder is not None:
            self._on_folder(folder)

    def _give_up_folder(self) -> None:
        possession, self._possession = self._possession, None
        if possession is not None:
            try:
                possession.close()
            except OSError as error:
                self._state.apply(Alert(text=f"the end of the event log is not written: {error.strerror}"))

    def _answer(self, request: Request) -> str | None:
        """Do what another process requests; the reason if it is refused."""
        snapshot = self._state.snapshot()
        training = snapshot.started is not None and snapshot.finished is None
        if request is not Request.STOP and not training:
            return f"the run is {snapshot.phase}, not training"
        self.request(request)
        return None

    def _emit(self, event: Event) -> None:
        self._state.apply(event)
        if self._possession is not None:
            self._log(event)
        elif self.folder is None and not event.transient:
            self._early_events.append(event)

    def _log(self, event: Event) -> None:
        """Append to the event log; where the disk is full, say so once and go on: it is tried again."""
        if self._possession is None:
            return
        try:
            self._possession.append(event)
        except OSError as error:
            if not self._log_failed:
                self._log_failed = True
                text = f"the event log cannot be written now: {error.strerror}; it is tried again"
                self._state.apply(Alert(text=text))
        else:
            self._log_failed = self._log_failed and self._possession.behind

    def _explain_defect(self, error: Exception) -> str:
        """Keep the traceback in the run's log, or in the screen's where there is none yet, and sum it up."""
        details = "".join(traceback.format_exception(error))
        where = ""
        if self.folder is not None:
            path = self.folder / LOG_FILE
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(details)
                where = f"; the details are in {path}"
            except OSError as unwritable:
                self._emit(Alert(text=f"cannot write {path}: {unwritable.strerror}"))
        if not where:
            for line in details.splitlines():
                self._emit(Message(text=line))
        return f"an error in the program itself, {type(error).__name__}: {error}{where}"
