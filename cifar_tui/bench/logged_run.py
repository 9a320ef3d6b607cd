"""Trainings as the user starts them, without a screen or in a dashboard, followed by their event log."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cifar_tui.bench.children import ended_at_last, user_error
from cifar_tui.bench.options import arguments_of
from cifar_tui.bench.terminal import Terminal
from cifar_tui.bench.turns import Span, rate
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Event, LossPoint, TrainingStarted
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.event_log import EventReader

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0


class LoggedRun:
    """A training in another process.

    Args:
        group: the id of its process group, in which nothing else is.
        checkpoints: the folder in which it makes its own, and nobody else.
        pass_time: waits for so many seconds, doing what the process needs to go on.

    Attributes:
        points: the points of the chart that are in its log.
        device: what it trains on, for the user to read; empty until it trains.
        backend: how it makes its steps, for the user to read.
    """

    def __init__(self, group: int, checkpoints: Path, pass_time: Callable[[float], object]) -> None:
        self.group = group
        self.points: list[LossPoint] = []
        self.device = self.backend = ""
        self.pass_time = pass_time
        self._checkpoints = checkpoints
        self._reader: EventReader | None = None

    def look(self) -> list[Event]:
        """Read on in the log; what has come."""
        if self._reader is None:
            folders = [path.parent for path in self._checkpoints.glob(f"*/{EVENTS_FILE}")]
            if not folders:
                return []
            self._reader = EventReader(folders[0])
        events = list(self._reader.read())
        for event in events:
            if isinstance(event, TrainingStarted):
                self.device, self.backend = event.device, event.backend
        self.points += [event for event in events if isinstance(event, LossPoint)]
        return events

    def until(self, enough: Callable[[], bool], look_seconds: float = _LOOK_SECONDS) -> None:
        """Read on until there is `enough`, as long as something comes.

        Raises:
            RunFailedError: nothing comes any more.
        """
        give_up = time.monotonic() + _PATIENCE_SECONDS
        self.look()
        while not enough():
            if time.monotonic() > give_up:
                raise RunFailedError("a run that was to be measured does not go on: is the machine too busy?")
            self.pass_time(look_seconds)
            if self.look():  # however slow it is, it goes on
                give_up = time.monotonic() + _PATIENCE_SECONDS

    def warmup_fraction(self, seconds: float) -> None:
        """Wait until it has trained for `seconds`, and it is known how long a step takes.

        Raises:
            RunFailedError: that never comes.
        """
        self.until(lambda: self.train_seconds >= seconds and len(self.points) > 1)

    def rate(self, spans: Sequence[Span]) -> float:
        """Steps a second in all of `spans`; see `turns.rate`.

        Raises:
            RunFailedError: it did not go on.
        """
        ended = spans[-1][1]
        self.until(lambda: bool(self.points) and self.points[-1].time > ended)
        return rate(spans, [(point.time, point.step) for point in self.points], device=self.device)

    @property
    def last_step(self) -> int:
        """The last step that the log tells of; 0 where there is none."""
        return self.points[-1].step if self.points else 0

    @property
    def step_seconds(self) -> float:
        """How long a step took between the last two points of the chart, once it is warm."""
        before, last = self.points[-2:]
        return (last.train_seconds - before.train_seconds) / (last.step - before.step)

    @property
    def train_seconds(self) -> float:
        """For how long it has trained by its own clock, as far as the log tells."""
        return self.points[-1].train_seconds if self.points else 0.0


@contextlib.contextmanager
def headless_run(config: TrainConfig, places: Path) -> Iterator[LoggedRun]:
    """A training without a screen, which is stopped with the context.

    Raises:
        UserError: it ended by itself.
    """
    checkpoints = new_place(places)
    command = [*train_command(config, checkpoints), "--headless"]
    with (
        tempfile.TemporaryFile(dir=places) as said,
        subprocess.Popen(  # noqa: S603 - this program itself
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, process_group=0
        ) as process,
        ended_at_last(process),
    ):

        def pass_time(seconds: float) -> None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                exit_code = process.wait(seconds)
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                sentence = "".join(last).removeprefix("cifar-tui: ")
                raise user_error(f"a run that was to be measured ended: {sentence}", exit_code)

        yield LoggedRun(process.pid, checkpoints, pass_time)


@contextlib.contextmanager
def dashboard_run(
    config: TrainConfig, places: Path, *, columns: int, rows: int
) -> Iterator[tuple[LoggedRun, Terminal]]:
    """A training in the dashboard in a terminal, which is ended with the context."""
    checkpoints = new_place(places)
    with Terminal(train_command(config, checkpoints), columns=columns, rows=rows) as terminal:
        yield LoggedRun(terminal.group, checkpoints, terminal.read_for), terminal


def train_command(config: TrainConfig, checkpoints: Path) -> list[str]:
    """`cifar-tui train` with the settings of `config`."""
    return [*program(checkpoints, config), "train"]


def program(checkpoints: Path, config: TrainConfig) -> list[str]:
    """`cifar-tui` with the settings of `config`, and without a command."""
    return [sys.executable, "-m", "cifar_tui", *arguments_of(config), "--checkpoints", str(checkpoints)]


def new_place(places: Path) -> Path:
    """A new folder in `places`."""
    return Path(tempfile.mkdtemp(dir=places))
