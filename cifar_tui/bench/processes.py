"""Measuring a run in fresh processes: what it takes to open one, and to follow one that goes on.

The processes run this module as their program, so it imports little.
"""

import contextlib
import resource
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.bench.children import child, run_child, say
from cifar_tui.bench.long_run import MORE_EPOCHS, STEPS_PER_SECOND, training_events
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import LossPoint
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.run_writer import RunWriter
from cifar_tui.runs.state import RunState

_MODULE = "cifar_tui.bench.processes"
_POLL_SECONDS = 0.01
_LONGER_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0
_MIB = 1 << 20


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


def measure_opening(folder: Path) -> Opening:
    """Open the run in `folder` in a fresh process.

    Raises:
        RunFailedError: the process failed.
    """
    started = time.monotonic()
    with child(_MODULE, "open", str(folder)) as process:
        found = process.answer(2 * _PATIENCE_SECONDS)
    return Opening(
        seconds=found["loaded_at"] - started,
        memory_mib=found["memory_mib"],
        step=found["step"],
        torch_imported=found["torch_imported"],
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
            processes.enter_context(child(_MODULE, "follow", str(folder), str(seconds)))
            for folder in epochs_done
        ]
        for follower in followers:
            follower.answer(2 * _PATIENCE_SECONDS)  # it has loaded
        for folder, epochs in epochs_done.items():
            processes.enter_context(
                child(_MODULE, "write", str(folder), str(epochs), str(seconds + _LONGER_SECONDS))
            )
        answers = [follower.answer(seconds + 2 * _PATIENCE_SECONDS) for follower in followers]
    expected = seconds * STEPS_PER_SECOND
    for found in answers:
        if abs(found["steps"] - expected) > expected / 2 + 2 * STEPS_PER_SECOND:
            raise RunFailedError(
                f"{found['steps']:,} steps were followed where {expected:,.0f} were trained: "
                "the machine is too busy to measure"
            )
    return [found["cpu_seconds"] / found["seconds"] for found in answers]


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


def _open(folder: Path) -> None:
    """Say what opening the run in `folder` took."""
    before = _memory("VmRSS")
    run = _load(folder)
    loaded_at = time.monotonic()
    say(
        loaded_at=loaded_at,
        memory_mib=(_memory("VmHWM") - before) / _MIB,
        step=run.snapshot().step,
        torch_imported="torch" in sys.modules,
    )


def _follow(folder: Path, seconds: float) -> None:
    """Say when the run in `folder` is loaded, and what following it for `seconds` took once it goes on."""
    run = _load(folder)
    say()
    version = run.snapshot().version
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while run.snapshot().version == version:
        if time.monotonic() > give_up:
            raise RunFailedError(f"the run in {folder} does not go on: is the machine too busy?")
        time.sleep(_POLL_SECONDS)  # a followed run tells nobody that it has changed
    step, began, cpu = run.snapshot().step, time.monotonic(), time.process_time()
    time.sleep(seconds)  # another thread follows meanwhile, and what that takes is measured
    say(
        cpu_seconds=time.process_time() - cpu,
        seconds=time.monotonic() - began,
        steps=run.snapshot().step - step,
    )


def _write(folder: Path, epochs_done: int, seconds: float) -> None:
    """Own the run in `folder` and go on with it at its real rate for `seconds`."""
    events = training_events(epochs_done + 1, epochs_done + MORE_EPOCHS)
    possession = RunWriter(folder, RunState(), lambda _: None)
    began = time.monotonic()
    steps = 0
    try:
        for event in events:
            if isinstance(event, LossPoint):
                steps += event.steps
                due = steps / STEPS_PER_SECOND
                if due > seconds:
                    break
                time.sleep(max(0.0, began + due - time.monotonic()))  # as late as a training would get there
            possession.append(event)
    finally:
        possession.close()


def _load(folder: Path) -> AttachedRun:
    run = AttachedRun(folder)
    run.start()
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not run.loaded:
        if time.monotonic() > give_up:
            raise RunFailedError(f"the log in {folder} was not read within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)  # a run tells nobody that it is loaded
    return run


def _memory(name: str) -> int:
    """Resident memory of this process in bytes: now ("VmRSS") or at its peak ("VmHWM")."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage also counts the process that this one was forked from
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields[name].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run_child(_main)
