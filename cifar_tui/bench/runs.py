"""`cifar-tui bench runs`: what the event log of a very long run costs on disk, to open and to follow.

What is timed runs in processes of its own: this module is their program, too, and imports little for that.
"""

import contextlib
import dataclasses
import itertools
import json
import math
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tui.engine.config import TrainConfig
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import (
    CheckpointSaved,
    ClassAccuracy,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Event,
    LossPoint,
    LossWindow,
    Phase,
    PhaseChanged,
    SamplesPredicted,
    TrainingStarted,
)
from cifar_tui.engine.files import EVENTS_FILE, WEIGHTS_FILE
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.event_log import EventLog, read_events
from cifar_tui.runs.possession import Possession
from cifar_tui.runs.store import create_run_folder

if TYPE_CHECKING:
    from cifar_tui.bench.report import Figure, Spread

LOG_LIMIT_BYTES = 30_000_000
OPENING_LIMIT_SECONDS = 2.0
FOLLOWING_LIMIT_CORE_SHARE = 0.02
MEMORY_LIMIT_RATIO = 1.5
"""A run ten times as long may take at most so much more memory to open."""

_STEPS_PER_SECOND = 700
_STEPS_PER_EPOCH = 12_500
_STEPS_PER_POINT = 50
_STEPS_PER_WINDOW = 2000
_STEPS_PER_CLOCK_SAVE = 3 * 60 * _STEPS_PER_SECOND
_IMAGES_PER_STEP = 4
_SAMPLE_IMAGES = 64
_TEST_IMAGES = 10_000
_SPIKES = 7
_SPIKED_BATCH = 6150
_SPIKE_LOSS = 40.0
_CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_POLL_SECONDS = 0.01
_LONGER_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0
_MORE_EPOCHS = 100
_BEGAN = 1_767_225_600.0
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class LongLog:
    """A log that was made to be measured.

    Attributes:
        folder: the run's folder.
        steps: the steps it tells of.
        size: bytes.
        lines: lines.
        highest_sent: the highest loss (nats) of a single step among the events that were sent.
        highest_in_log: the highest that can be read back.
    """

    folder: Path
    steps: int
    size: int
    lines: int
    highest_sent: float
    highest_in_log: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What a fresh process found when it opened a run.

    Attributes:
        seconds: from the start of the process until the log was loaded, imports included.
        memory_mib: the peak of its resident memory above what it had before it opened the run, in MiB.
        step: the step it shows.
        torch_imported: whether that took torch.
    """

    seconds: float
    memory_mib: float
    step: int
    torch_imported: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsBench:
    """What was measured of a run of `steps` steps, which counts as met where every limit is kept.

    Attributes:
        steps: the steps of the run.
        log: its log.
        opening_seconds: from the start of a process until the run is loaded, from a warm page cache.
        memory_mib: the peak of what opening takes, in MiB.
        short_memory_mib: the same for a run of a tenth of the length.
        following_core_share: CPU seconds a second of following the run, at its end.
        following_new_core_share: the same for a run that has just begun, of which every point is logged.
        torch_imported: whether any of that took torch.
    """

    steps: int
    log: LongLog
    opening_seconds: "Spread"
    memory_mib: "Spread"
    short_memory_mib: "Spread"
    following_core_share: "Spread"
    following_new_core_share: "Spread"
    torch_imported: bool

    @property
    def memory_ratio(self) -> float:
        """The memory for the whole length over that for a tenth of it."""
        return self.memory_mib.median / self.short_memory_mib.median

    @property
    def spikes_kept(self) -> bool:
        """Whether the highest loss of a single step can still be read in the log."""
        return self.log.highest_in_log == self.log.highest_sent

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return self.spikes_kept and not self.torch_imported and all(row.met for row in self.figures())

    def figures(self) -> "list[Figure]":
        """The rows of the table."""
        from cifar_tui.bench.report import Figure, spread

        return [
            Figure(
                quantity="event log",
                spread=spread([self.log.size / 1e6]),
                unit="MB",
                limit=LOG_LIMIT_BYTES / 1e6,
            ),
            Figure(quantity="lines in it", spread=spread([self.log.lines]), digits=0),
            Figure(
                quantity="opening, from the start of the process",
                spread=self.opening_seconds,
                unit="s",
                limit=OPENING_LIMIT_SECONDS,
            ),
            Figure(quantity="memory that opening takes", spread=self.memory_mib, unit="MiB", digits=1),
            Figure(
                quantity="the same at a tenth of the length",
                spread=self.short_memory_mib,
                unit="MiB",
                digits=1,
            ),
            Figure(
                quantity="memory, over that at a tenth of the length",
                spread=spread([self.memory_ratio]),
                limit=MEMORY_LIMIT_RATIO,
            ),
            Figure(
                quantity="following at the end of the run, of a core",
                spread=self.following_core_share,
                unit="%",
                limit=FOLLOWING_LIMIT_CORE_SHARE,
            ),
            Figure(
                quantity="following at the beginning of a run, of a core",
                spread=self.following_new_core_share,
                unit="%",
                limit=FOLLOWING_LIMIT_CORE_SHARE,
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "steps": self.steps,
            "log_bytes": self.log.size,
            "log_lines": self.log.lines,
            "highest_step_loss_sent": self.log.highest_sent,
            "highest_step_loss_in_log": self.log.highest_in_log,
            "spikes_kept": self.spikes_kept,
            "opening_seconds": dataclasses.asdict(self.opening_seconds),
            "memory_mib": dataclasses.asdict(self.memory_mib),
            "memory_mib_at_a_tenth": dataclasses.asdict(self.short_memory_mib),
            "memory_ratio": self.memory_ratio,
            "following_core_share": dataclasses.asdict(self.following_core_share),
            "following_new_core_share": dataclasses.asdict(self.following_new_core_share),
            "torch_imported": self.torch_imported,
            "limits": {
                "log_bytes": LOG_LIMIT_BYTES,
                "opening_seconds": OPENING_LIMIT_SECONDS,
                "memory_ratio": MEMORY_LIMIT_RATIO,
                "following_core_share": FOLLOWING_LIMIT_CORE_SHARE,
            },
            "met": self.met,
        }


def bench_runs(*, as_json: bool, steps: int = 10_000_000) -> int:
    """Measure the log of a run of about `steps` steps and print what was found.

    Returns:
        The exit code: 0 where all limits are met, 1 where one is not.

    Raises:
        RunFailedError: there is no room for the log, or a process that measures failed.
    """
    from cifar_tui.bench.report import machine, print_figures, print_json, show_progress

    try:
        measured = measure_runs(steps)
    except OSError as error:
        raise RunFailedError(
            f"cannot write the log to be measured: {error.strerror}; name a folder with room in TMPDIR"
        ) from error
    except KeyboardInterrupt:
        show_progress("")
        return 128 + signal.SIGINT
    if as_json:
        print_json({"machine": machine(), "runs": measured.as_json()})
    else:
        print_figures(f"The event log of a run of {measured.steps:,} steps", measured.figures())
    return 0 if measured.met else 1


def measure_runs(
    steps: int, *, openings: int = 5, followings: int = 3, following_seconds: float = 20.0
) -> RunsBench:
    """Make the logs of a run of about `steps` steps and of a tenth of it, and measure what they cost.

    Args:
        steps: rounded to whole epochs, at least one.
        openings: how often each is opened.
        followings: how often a run is followed.
        following_seconds: how long each time.

    Raises:
        OSError: the logs cannot be written.
        RunFailedError: a process that measures failed.
    """
    from cifar_tui.bench.report import show_progress, spread

    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        checkpoints = Path(name)
        log = make_log(checkpoints, steps)
        short = make_log(checkpoints, steps // 10)
        opened: dict[Path, list[Opening]] = {log.folder: [], short.folder: []}
        for number, folder in itertools.product(range(openings), opened):
            show_progress(f"opening it, {number + 1} of {openings}", passing=folder == short.folder)
            opened[folder].append(measure_opening(folder))
        shares: list[tuple[float, float]] = []
        for number in range(followings):
            show_progress(f"following it for {following_seconds:g} s, {number + 1} of {followings}")
            long = shutil.copytree(log.folder, checkpoints / f"long-{number}")  # it goes on from its end
            new = create_run_folder(checkpoints, _config(1))
            _append(new, _opening_events(1))
            at_end, at_beginning = measure_following(
                {long: log.steps // _STEPS_PER_EPOCH, new: 0}, following_seconds
            )
            shares.append((at_end, at_beginning))
        show_progress("")
    at_ends, at_beginnings = zip(*shares, strict=True)
    openings_of_log, openings_of_short = opened.values()
    return RunsBench(
        steps=log.steps,
        log=log,
        opening_seconds=spread(opening.seconds for opening in openings_of_log),
        memory_mib=spread(opening.memory_mib for opening in openings_of_log),
        short_memory_mib=spread(opening.memory_mib for opening in openings_of_short),
        following_core_share=spread(at_ends),
        following_new_core_share=spread(at_beginnings),
        torch_imported=any(opening.torch_imported for opening in openings_of_log),
    )


def make_log(checkpoints: Path, steps: int) -> LongLog:
    """Send what a training of about `steps` steps sends through an `EventLog`, in a new folder of a run.

    Raises:
        OSError: the log cannot be written.
        RunFailedError: the folder cannot be made.
    """
    epochs = max(1, round(steps / _STEPS_PER_EPOCH))
    folder = create_run_folder(checkpoints, _config(epochs))
    sent = _append(folder, itertools.chain(_opening_events(epochs), _with_progress(epochs)))
    content = (folder / EVENTS_FILE).read_bytes()
    return LongLog(
        folder=folder,
        steps=epochs * _STEPS_PER_EPOCH,
        size=len(content),
        lines=content.count(b"\n"),
        highest_sent=sent,
        highest_in_log=max(_highest_losses(read_events(folder))),
    )


def measure_opening(folder: Path) -> Opening:
    """Open the run in `folder` in a fresh process.

    Raises:
        RunFailedError: the process failed.
    """
    started = time.monotonic()
    with _child("open", str(folder)) as process:
        answer = _answer(process)
    return Opening(
        seconds=answer["loaded_at"] - started,
        memory_mib=answer["memory_mib"],
        step=answer["step"],
        torch_imported=answer["torch_imported"],
    )


def measure_following(epochs_done: Mapping[Path, int], seconds: float) -> list[float]:
    """Follow runs that go on at their real rate, each from another process, at the same time.

    Args:
        epochs_done: how many epochs the log in each folder tells of.
        seconds: how long.

    Returns:
        CPU seconds a second of each process that follows.

    Raises:
        RunFailedError: a process failed, or a run was not followed to where it went.
    """
    with contextlib.ExitStack() as processes:
        followers = [
            processes.enter_context(_child("follow", str(folder), str(seconds))) for folder in epochs_done
        ]
        for follower in followers:
            _answer(follower)  # it has loaded
        for folder, epochs in epochs_done.items():
            processes.enter_context(_child("write", str(folder), str(epochs), str(seconds + _LONGER_SECONDS)))
        answers = [_answer(follower) for follower in followers]
    expected = seconds * _STEPS_PER_SECOND
    for answer in answers:
        if abs(answer["steps"] - expected) > expected / 2 + 2 * _STEPS_PER_SECOND:
            raise RunFailedError(
                f"{answer['steps']:,} steps were followed where {expected:,.0f} were trained: "
                "the machine is too busy to measure"
            )
    return [answer["cpu_seconds"] / answer["seconds"] for answer in answers]


def _open(folder: Path) -> None:
    """Say what opening the run in `folder` took."""
    before = _memory("VmRSS")
    run = _load(folder)
    loaded_at = time.monotonic()
    _say(
        loaded_at=loaded_at,
        memory_mib=(_memory("VmHWM") - before) / _MIB,
        step=run.snapshot().step,
        torch_imported="torch" in sys.modules,
    )


def _follow(folder: Path, seconds: float) -> None:
    """Say when the run in `folder` is loaded, and what following it for `seconds` took once it goes on."""
    run = _load(folder)
    _say()
    version = run.snapshot().version
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while run.snapshot().version == version:
        if time.monotonic() > give_up:
            sys.exit(f"{folder} does not go on")
        time.sleep(_POLL_SECONDS)
    step, began, cpu = run.snapshot().step, time.monotonic(), time.process_time()
    time.sleep(seconds)
    _say(
        cpu_seconds=time.process_time() - cpu,
        seconds=time.monotonic() - began,
        steps=run.snapshot().step - step,
    )


def _write(folder: Path, epochs_done: int, seconds: float) -> None:
    """Own the run in `folder` and go on with it at its real rate for `seconds`."""
    events = _training_events(epochs_done + 1, epochs_done + _MORE_EPOCHS)
    possession = Possession(folder, _config(epochs_done), lambda _: None)
    began = time.monotonic()
    steps = 0
    try:
        for event in events:
            if isinstance(event, LossPoint):
                steps += event.steps
                due = steps / _STEPS_PER_SECOND
                if due > seconds:
                    break
                time.sleep(max(0.0, began + due - time.monotonic()))
            possession.append(event)
    finally:
        possession.close()


def _load(folder: Path) -> AttachedRun:
    run = AttachedRun(folder)
    run.start()
    while not run.loaded:
        time.sleep(_POLL_SECONDS)
    return run


def _memory(name: str) -> int:
    """Resident memory of this process in bytes: now ("VmRSS") or at its peak ("VmHWM")."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage also counts the process that this one was forked from
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields[name].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextlib.contextmanager
def _child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A fresh process of this module, which is ended with the context."""
    command = [sys.executable, "-m", "cifar_tui.bench.runs", *arguments]
    with subprocess.Popen(  # noqa: S603 - this program itself
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _say(**values: Any) -> None:  # noqa: ANN401 - any JSON value
    print(json.dumps(values), flush=True)


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a child says next.

    Raises:
        RunFailedError: it died.
    """
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RunFailedError("a process that was to measure died; what it said is above")
    values: dict[str, Any] = json.loads(line)
    return values


def _append(folder: Path, events: Iterable[Event]) -> float:
    """Send `events` through an `EventLog`; the highest loss (nats) of a single step among them, or 0."""
    highest = 0.0
    log = EventLog(folder)
    try:
        for event in events:
            log.append(event)
            if isinstance(event, LossPoint):
                highest = max(highest, event.loss_max)
    finally:
        log.close()
    return highest


def _with_progress(epochs: int) -> Iterator[Event]:
    from cifar_tui.bench.report import show_progress

    text = f"making the log of {epochs * _STEPS_PER_EPOCH:,} steps"
    show_progress(text)
    for event in _training_events(1, epochs):
        yield event
        if isinstance(event, EpochFinished) and event.epoch % 20 == 0:
            show_progress(f"{text}: {event.epoch / epochs:.0%}", passing=True)


def _highest_losses(events: Iterable[Event]) -> Iterator[float]:
    return (event.loss_max for event in events if isinstance(event, LossPoint))


def _config(epochs: int) -> TrainConfig:
    """The tutorial, for longer than what is logged: the run is still live."""
    return TrainConfig(epochs=epochs + _MORE_EPOCHS)


def _opening_events(epochs: int) -> Iterator[Event]:
    """What a training says before its first step."""
    config = _config(epochs)
    time = _BEGAN
    yield PhaseChanged(time=time, phase=Phase.LOADING, message="PyTorch")
    yield PhaseChanged(time=time, phase=Phase.LOADING, message=f"data {config.data}")
    yield DataLoaded(
        time=time,
        title="CIFAR-10",
        synthetic=False,
        class_names=_CLASSES,
        train_images=_STEPS_PER_EPOCH * config.batch_size,
        test_images=_TEST_IMAGES,
    )
    yield TrainingStarted(
        time=time,
        run="bench",
        config=dataclasses.asdict(config),
        device="cpu",
        parameters=62_006,
        steps_per_epoch=_STEPS_PER_EPOCH,
        total_steps=config.epochs * _STEPS_PER_EPOCH,
        torch_version="",
    )
    yield PhaseChanged(time=time, phase=Phase.TRAINING)
    yield _samples(time, 0, random.Random(0))  # noqa: S311 - no secret


def _training_events(first: int, last: int) -> Iterator[Event]:
    """What the epochs `first` to `last` of a training say, as the tutorial's settings have it.

    The loss falls and is noisy; in a few epochs a single step has a loss far above all others.
    """
    spiked = {first + (last - first) * number // (_SPIKES + 1) for number in range(1, _SPIKES + 1)}
    generator = random.Random(first)  # noqa: S311 - no secret
    saved = (first - 1) * _STEPS_PER_EPOCH
    for epoch in range(first, last + 1):
        losses: list[float] = []
        for batch in range(_STEPS_PER_POINT, _STEPS_PER_EPOCH + 1, _STEPS_PER_POINT):
            step = (epoch - 1) * _STEPS_PER_EPOCH + batch
            spike = _SPIKE_LOSS + generator.random() if epoch in spiked and batch == _SPIKED_BATCH else 0.0
            point = _point(epoch, batch, spike, generator)
            losses.append(point.loss)
            yield point
            if batch % _STEPS_PER_WINDOW == 0:
                window = losses[-_STEPS_PER_WINDOW // _STEPS_PER_POINT :]
                mean = sum(window) / len(window)
                yield LossWindow(time=point.time, epoch=epoch, batch=batch, step=step, loss=mean)
                yield _samples(point.time, step, generator)
            if step - saved >= _STEPS_PER_CLOCK_SAVE and batch < _STEPS_PER_EPOCH:
                saved = step
                yield _checkpoint(point, "by the clock")
        yield from _end_of_epoch(point, sum(losses) / len(losses), generator)


def _point(epoch: int, batch: int, spike: float, generator: random.Random) -> LossPoint:
    step = (epoch - 1) * _STEPS_PER_EPOCH + batch
    trend = 0.7 + 1.6 / math.sqrt(1 + step / 20_000)
    loss = trend * generator.uniform(0.8, 1.2)
    seconds = round(step / _STEPS_PER_SECOND, 3)
    images = _STEPS_PER_POINT * _IMAGES_PER_STEP
    return LossPoint(
        time=round(_BEGAN + seconds, 3),
        step=step,
        steps=_STEPS_PER_POINT,
        epoch=epoch,
        batch=batch,
        loss=loss + spike / _STEPS_PER_POINT,
        loss_min=loss * generator.uniform(0.01, 0.3),
        loss_max=spike or loss * generator.uniform(1.5, 4.0),
        accuracy=generator.randrange(images + 1) / images,
        learning_rate=0.001,
        images=images,
        train_seconds=seconds,
    )


def _end_of_epoch(point: LossPoint, loss: float, generator: random.Random) -> Iterator[Event]:
    images = _STEPS_PER_EPOCH * _IMAGES_PER_STEP
    yield EpochFinished(
        time=point.time,
        epoch=point.epoch,
        step=point.step,
        loss=loss,
        accuracy=generator.randrange(images) / images,
        train_seconds=point.train_seconds,
    )
    yield _samples(point.time, point.step, generator)
    yield PhaseChanged(time=point.time, phase=Phase.EVALUATING)
    per_class = _TEST_IMAGES // len(_CLASSES)
    rows = tuple(
        ClassAccuracy(name=name, correct=generator.randrange(per_class), total=per_class) for name in _CLASSES
    )
    yield Evaluated(
        time=point.time,
        step=point.step,
        final=False,
        correct=sum(row.correct for row in rows),
        total=_TEST_IMAGES,
        loss=loss,
        seconds=generator.uniform(1.0, 2.0),
        per_class=rows,
    )
    yield PhaseChanged(time=point.time, phase=Phase.TRAINING)
    yield _checkpoint(point, f"end of epoch {point.epoch}")


def _checkpoint(point: LossPoint, reason: str) -> CheckpointSaved:
    path = f"checkpoints/20260101-000000/{WEIGHTS_FILE}"
    return CheckpointSaved(time=point.time, path=path, step=point.step, epoch=point.epoch, reason=reason)


def _samples(when: float, step: int, generator: random.Random) -> SamplesPredicted:
    return SamplesPredicted(
        time=when,
        step=step,
        predicted=tuple(generator.randrange(len(_CLASSES)) for _ in range(_SAMPLE_IMAGES)),
        confidences=tuple(round(generator.uniform(0.1, 1.0), 4) for _ in range(_SAMPLE_IMAGES)),
    )


def _main(arguments: list[str]) -> None:
    """What a child does: open, follow or write a run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent says what there is to say
    match arguments:
        case ["open", folder]:
            _open(Path(folder))
        case ["follow", folder, seconds]:
            _follow(Path(folder), float(seconds))
        case ["write", folder, epochs_done, seconds]:
            _write(Path(folder), int(epochs_done), float(seconds))


if __name__ == "__main__":
    _main(sys.argv[1:])
