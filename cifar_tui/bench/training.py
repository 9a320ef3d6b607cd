"""Training runs in separate processes: start them, follow their event log, check that they really train."""

import contextlib
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from cifar_tui.bench.options import arguments_of
from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError, DataUnavailableError, RunFailedError, UserError
from cifar_tui.engine.events import Event, LossPoint, RunEnded, TrainingStarted
from cifar_tui.engine.layout import EVENTS_FILE, WEIGHTS_FILE
from cifar_tui.runs.disk.event_log import EventReader

PROGRAM = (sys.executable, "-m", "cifar_tui")

_POLL_SECONDS = 0.1
_SILENCE_SECONDS = 600.0
"""Compiling a large net on a slow machine takes minutes, in which nothing is logged."""

_EXIT_SECONDS = 20.0
_POINTS_LOGGED_IN_FULL = 4000
"""The log of a longer run leaves points out."""

_IMAGES_TO_FALL = 16_000
"""Training images after which the loss must have fallen; the tutorial's is constant for the first 6,000."""


class Training(ABC):
    """A training run in the process group `group`, whose event log is the only one below `folder`.

    Attributes:
        points: the loss points in its log.
        started: what it logged before its first step; None until then.
        ended: whether it has logged its end.
    """

    def __init__(self, group: int, folder: Path) -> None:
        self.points: list[LossPoint] = []
        self.started: TrainingStarted | None = None
        self.ended = False
        self._launched = time.time()
        self._group = group
        self._folder = folder
        self._reader: EventReader | None = None

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait while it trains.

        Raises:
            UserError: its process ended.
        """

    def suspend(self) -> None:
        """Stop its processes, without ending them."""
        os.killpg(self._group, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue its processes, if any is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGCONT)

    def warm_up(self, seconds: float) -> None:
        """Wait until it has trained for `seconds` and logged two points, then suspend it."""
        self.wait_for(lambda: len(self.points) > 1 and self.points[-1].train_seconds >= seconds)
        self.suspend()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read the log until `condition` holds.

        Raises:
            UserError: its process ended first.
            RunFailedError: nothing was logged for minutes.
        """
        give_up = time.monotonic() + _SILENCE_SECONDS
        self.read()
        while not condition():
            if time.monotonic() > give_up:
                raise RunFailedError("a run stopped logging; is the machine overloaded?")
            self.wait(_POLL_SECONDS)
            if self.read():
                give_up = time.monotonic() + _SILENCE_SECONDS

    def read(self) -> list[Event]:
        """Read and return what was logged since the last call."""
        if self._reader is None:
            logs = list(self._folder.rglob(EVENTS_FILE))
            if not logs:
                return []
            self._reader = EventReader(logs[0].parent)
        events = list(self._reader.read())
        for event in events:
            match event:
                case LossPoint():
                    self.points.append(event)
                case TrainingStarted():
                    self.started = event
                case RunEnded():
                    self.ended = True
        return events

    def wait_for_point_after(self, moment: float) -> None:
        """Read the log until it has a point later than `moment`, in Unix seconds."""
        self.wait_for(lambda: bool(self.points) and self.points[-1].time > moment)

    @property
    def device(self) -> str:
        """Display name of the device; empty if unknown."""
        return self.started.device if self.started else ""

    @property
    def backend(self) -> str:
        """Display name of the backend; empty if unknown."""
        return self.started.backend if self.started else ""

    @property
    def startup_seconds(self) -> float:
        """Seconds from the start of its process until it was ready for the first step."""
        return self.started.time - self._launched if self.started else math.nan

    def stop(self) -> Path:
        """Have it save and end; return the file with the saved weights.

        Raises:
            UserError: it failed, or its weights are missing or not finite.
        """
        os.kill(self._group, signal.SIGTERM)
        self.wait_for(lambda: self.ended)
        weights = next(self._folder.rglob(WEIGHTS_FILE), None)
        if weights is None:
            raise RunFailedError("a run did not save its weights, so its speed is meaningless")
        check_weights(weights)
        return weights


class _ProcessTraining(Training):
    """A training run without a screen."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, stderr: IO[bytes]) -> None:
        super().__init__(process.pid, folder)
        self._process = process
        self._stderr = stderr

    def wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it still trains
            exit_code = self._process.wait(seconds)
            self.read()
            if not self.ended or exit_code == RunFailedError.exit_code:
                self._stderr.seek(0)
                raise _error_of(self._stderr.read().decode(errors="replace"), exit_code)
            time.sleep(seconds)  # it ended well: `wait_for`, which waits for its log, must not spin


def headless_training(config: TrainConfig, folder: Path) -> contextlib.AbstractContextManager[Training]:
    """Train with `config` without a screen, with the run in the empty `folder`; the context ends it."""
    return _training([*train_command(config, folder), "--headless"], folder)


def plain_loop(config: TrainConfig, folder: Path) -> contextlib.AbstractContextManager[Training]:
    """Train with the tutorial's own loop, with the log in the empty `folder`; the context ends it.

    Of `config` it takes the images, the device and the seed.
    """
    path = folder / "settings.toml"
    path.write_text(config_to_toml(config))
    return _training([sys.executable, "-m", "cifar_tui.bench.plain_loop", str(path), str(folder)], folder)


def train_command(config: TrainConfig, checkpoints: Path) -> list[str]:
    """Return the command that trains with `config` in the dashboard."""
    return [*PROGRAM, "train", *arguments_of(config), "--checkpoints", str(checkpoints)]


def train_to_the_end(config: TrainConfig) -> tuple[dict[str, Any], float]:
    """Train with `config` to the end; return the JSON results and the seconds that the process took.

    Raises:
        UserError: the run failed.
    """
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        start = time.monotonic()
        results = _run([*train_command(config, Path(name)), "--json"])
        return results, time.monotonic() - start


def check_learned(config: TrainConfig, weights: Path) -> None:
    """Evaluate the file `weights` in a fresh process.

    Raises:
        RunFailedError: its accuracy is not above that of guessing.
    """
    test = _run([*PROGRAM, "eval", str(weights), *arguments_of(config), "--json"])["test"]
    if test["accuracy"] <= 1 / len(test["per_class"]):
        raise RunFailedError(
            f"the saved weights reach only {100 * test['accuracy']:.1f} % accuracy: the model did not learn"
        )


def check_weights(path: Path) -> None:
    """Check that all saved weights are finite.

    Raises:
        RunFailedError: they are not.
    """
    import torch

    state_dict = torch.load(path, map_location="cpu", weights_only=True)
    if not state_dict or not all(bool(tensor.isfinite().all()) for tensor in state_dict.values()):
        raise RunFailedError(f"'{path.name}' contains non-finite weights (NaN or Inf): training diverged")


def check_points(points: Sequence[LossPoint], name: str) -> None:
    """Check that the loss points are those of a run that learns.

    Args:
        points: in order, from the first step.
        name: what trained, for the message.

    Raises:
        RunFailedError: steps are missing, or losses are not finite, all the same, or do not fall in the end.
    """
    steps = [(point.step, point.steps) for point in points[:_POINTS_LOGGED_IN_FULL]]
    if any(later[0] != earlier[0] + later[1] for earlier, later in itertools.pairwise(steps)):
        raise RunFailedError(f"{name}: steps are missing from the log, so the measured speed is meaningless")
    losses = [point.loss for point in points]
    quarter = len(losses) // 4
    too_early = sum(point.images for point in points) < _IMAGES_TO_FALL
    fell = too_early or sum(losses[-quarter:]) < sum(losses[:quarter])
    if not losses or not all(map(math.isfinite, losses)) or len(losses) > len(set(losses)) == 1 or not fell:
        raise RunFailedError(f"{name}: the loss did not decrease, so the measured speed is meaningless")


@contextlib.contextmanager
def _training(command: Sequence[str], folder: Path) -> Iterator[Training]:
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(  # noqa: S603 - this program itself
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, process_group=0
        ) as process,
    ):
        try:
            yield _ProcessTraining(process, folder, stderr)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and its group, suspended or not; kill them if that takes long."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    try:
        process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _run(command: Sequence[str]) -> dict[str, Any]:
    """Run a command of this program to its end and return the JSON that it prints."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this program itself
    if result.returncode:
        raise _error_of(result.stderr, result.returncode)
    return dict(json.loads(result.stdout))


def _error_of(stderr: str, exit_code: int) -> UserError:
    """Turn what a process of this program printed and returned into an error of this one."""
    last = "".join(stderr.strip().splitlines()[-1:]).removeprefix("cifar-tui: ")
    kinds: tuple[type[UserError], ...] = (ConfigError, DataUnavailableError)
    kind = next((kind for kind in kinds if kind.exit_code == exit_code), RunFailedError)
    return kind(f"a benchmark run failed: {last or f'exit code {exit_code}'}")
