"""A run's folder that somebody else made: whatever its files are, nothing hangs or is lost."""

import contextlib
import os

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.events import DataLoaded, Phase, PhaseChanged, SamplesPredicted
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.client import ask_progress
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import find_run, find_run_to_attach, label_of, write_config, write_name
from cifar_tui.runs.listing import delete_run, list_runs, run_cells
from cifar_tui.runs.recap import last_seen, mark_seen
from cifar_tui.runs.resume_config import config_to_resume
from tests.foreign import (
    put_dangling_link,
    put_fifo,
    put_folder,
    put_hard_link,
    put_huge_file,
    put_link,
    put_noise,
    put_socket,
    put_unreadable_file,
)
from tests.runs.control.helpers import wait_until
from tests.runs.made_events import STARTED, evaluated, point, record
from tests.runs.writing import make_writer

pytestmark = pytest.mark.timeout(30)

FILES = [
    "config.toml",
    "name",
    "events.jsonl",
    "summary.json",
    "report.json",
    "last.pt",
    "cifar_net.pth",
    "samples.bin",
    "predictions.npz",
    "test_files.json",
    "run.log",
    "lock",
    "seen",
    "control.sock",
]
DATA = DataLoaded(title="a", synthetic=False, class_names=("a", "b"), train_images=4, test_images=4)
SAMPLES = SamplesPredicted(step=50, predicted=(0, 1, 9, 1), confidences=(0.5,) * 4)
PUT = [
    put_link,
    put_hard_link,
    put_dangling_link,
    put_fifo,
    put_socket,
    put_folder,
    put_huge_file,
    put_noise,
    put_unreadable_file,
]


def use(folder):
    """Do with the run what the commands and the dashboard do; each may refuse with a sentence."""
    checkpoints = folder.parent
    for run in list_runs(checkpoints):
        run_cells(run)
    attempts = [
        lambda: find_run(checkpoints, "latest"),
        lambda: find_run_to_attach(checkpoints),
        lambda: label_of(folder),
        lambda: config_to_resume(folder),
        lambda: ask_progress(folder),
        lambda: view(folder),
        lambda: mark_seen(folder),
        lambda: last_seen(folder),
        lambda: own(folder),
        lambda: write_name(folder, "mine"),
        lambda: owner_of(folder),
    ]
    for attempt in attempts:
        with contextlib.suppress(UserError, OSError):
            attempt()


def view(folder):
    run = AttachedRun(folder)
    run.start()
    wait_until(lambda: run.loaded, seconds=20)
    run.snapshot()
    run.curves()
    run.sample_batch(0)
    run.close()


def own(folder):
    writer = make_writer(folder)
    writer.start()
    writer.close()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("put", PUT)
def test_nothing_hangs_and_no_file_of_theirs_changes(tmp_path, put, name):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    os.utime(theirs, (1, 1))
    folder = tmp_path / "runs" / "20260101-100000"
    folder.mkdir(parents=True)
    write_config(folder, TrainConfig(data="synthetic"))
    record(folder, PhaseChanged(phase=Phase.LOADING), DATA, STARTED, point(50), SAMPLES, evaluated(50, 60))
    (folder / "last.pt").write_bytes(b"")
    (folder / name).unlink(missing_ok=True)
    put(folder / name, theirs)
    use(folder)
    assert theirs.read_text() == "precious"
    assert theirs.stat().st_mtime == 1
    assert sorted(os.listdir(tmp_path)) == ["runs", "theirs"]
    with contextlib.suppress(UserError):
        delete_run(folder)
    assert theirs.read_text() == "precious"
