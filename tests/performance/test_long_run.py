"""What the log of a run of 10 million steps takes on disk, and how long it takes to open it."""

import dataclasses
import json
import subprocess
import sys
import time

import pytest

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Measurement
from cifar_tui.bench.training import train_command
from cifar_tui.engine.events import LossPoint, TrainingStarted
from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.event_log import EventLog, read_events
from cifar_tui.runs.disk.store import create_run_folder

LOG_MB = 30.0
OPENING_SECONDS = 2.0
MEMORY_RATIO = 1.5
"""So much more memory may the process take that opens a run ten times as long."""

STEPS = 10_000_000
STEPS_PER_EPOCH = 12_500
ROUNDS = 3

OPEN = """
import json, sys, time
from pathlib import Path
from cifar_tui.runs.attached import AttachedRun

def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0]) / 1024

before = peak_mib()
run = AttachedRun(Path(sys.argv[1]))
run.start()
while not run.loaded:
    time.sleep(0.01)
found = {"loaded": time.time(), "step": run.snapshot().step, "torch": "torch" in sys.modules}
print(json.dumps(found | {"mib": peak_mib(), "added_mib": peak_mib() - before}))
"""


@pytest.fixture(scope="module")
def epoch(tmp_path_factory):
    """The first epoch of a real training, cut to the length of CIFAR-10, and the events before it."""
    folder = tmp_path_factory.mktemp("one")
    config = BenchOptions(data_dir=str(folder / "data")).config("tutorial", epochs=2)
    shorter = config.replace(
        batch_size=2, chart_every=50
    )  # more steps than on CIFAR-10: there are fewer images
    subprocess.run([*train_command(shorter, folder), "--headless"], check=True, capture_output=True)
    events = list(read_events(next(folder.rglob(EVENTS_FILE)).parent))
    began = next(k for k, event in enumerate(events) if isinstance(event, TrainingStarted))
    ended = next(k for k, event in enumerate(events) if getattr(event, "epoch", 0) == 2)
    whole = events[began].steps_per_epoch
    cut = []
    for event in events[began + 1 : ended]:
        step = getattr(event, "step", 0)
        if step == whole and not isinstance(event, LossPoint):  # the end of the epoch
            cut.append(dataclasses.replace(event, step=STEPS_PER_EPOCH))
        elif step <= STEPS_PER_EPOCH:
            cut.append(event)
    return config, events[: began + 1], cut


def write_log(folder, epoch, steps):
    """Write the run of so many steps, the same epoch again and again; return its folder and the steps."""
    config, opening, events = epoch
    count = steps // STEPS_PER_EPOCH
    config = config.replace(epochs=count + 100)
    started = dataclasses.replace(
        opening[-1],
        steps_per_epoch=STEPS_PER_EPOCH,
        total_steps=config.epochs * STEPS_PER_EPOCH,
    )
    run = create_run_folder(folder, config)
    log = EventLog(run)
    for event in [*opening[:-1], started]:
        log.append(event)
    for number in range(count):
        for event in events:
            log.append(shifted(event, number, number * STEPS_PER_EPOCH))
    log.close()
    return run, count * STEPS_PER_EPOCH


def shifted(event, epochs, steps):
    """The event, so many epochs later."""
    later = {"epoch": epochs, "step": steps, "train_seconds": steps / 7000, "time": steps / 7000}
    names = {field.name for field in dataclasses.fields(event)} & later.keys()
    return dataclasses.replace(event, **{name: getattr(event, name) + later[name] for name in names})


def open_in_a_fresh_process(run, steps):
    """Seconds until the run is loaded, the memory of the process, and what the run added to it (MiB)."""
    start = time.time()
    result = subprocess.run(
        [sys.executable, "-c", OPEN, str(run)], check=True, capture_output=True, text=True
    )
    found = json.loads(result.stdout)
    assert 0.99 * steps < found["step"] <= steps
    assert not found["torch"], "opening a run imports no torch"
    return found["loaded"] - start, found["mib"], found["added_mib"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_very_long_run_is_opened_at_once(check, slowness, epoch, tmp_path):
    long, short = write_log(tmp_path, epoch, STEPS), write_log(tmp_path, epoch, STEPS // 10)
    opened = [(open_in_a_fresh_process(*long), open_in_a_fresh_process(*short)) for _ in range(ROUNDS)]
    megabytes = (long[0] / EVENTS_FILE).stat().st_size / 1e6
    ratios = tuple(of_long[1] / of_short[1] for of_long, of_short in opened)
    check(
        Measurement(name="log of 10 million steps", values=(megabytes,), unit="MB", at_most=LOG_MB),
        Measurement(
            name="opening it, from the start of the process",
            values=tuple(of_long[0] for of_long, _ in opened),
            unit="s",
            at_most=slowness * OPENING_SECONDS,
        ),
        Measurement(
            name="memory to open it",
            values=tuple(of_long[1] for of_long, _ in opened),
            unit="MiB",
            digits=1,
        ),
        Measurement(name="the same, over 1 million steps", values=ratios, at_most=MEMORY_RATIO),
        Measurement(
            name="what opening it adds to the process",
            values=tuple(of_long[2] for of_long, _ in opened),
            unit="MiB",
            digits=1,
        ),
    )
