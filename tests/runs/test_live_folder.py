"""`LiveRun`: its folder is renamed, removed or resumed, or its disk is full."""

import os
import shutil

import pytest

from cifar_tui.engine.events import Phase, PhaseChanged, TrainingFinished
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.membership import Membership, read_membership
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.resume_config import config_to_resume
from tests.runs.control.helpers import wait_until


def start_and_save(run):
    run.start_training()
    wait_until(lambda: run.snapshot().step > 0)
    run.request(Request.SAVE)
    wait_until(lambda: run.snapshot().checkpoint is not None)


def test_a_run_whose_folder_is_renamed_is_saved_there(make_run):
    told = []
    run = make_run(epochs=10_000, checkpoint_every_epochs=0, on_folder=told.append)
    start_and_save(run)
    first = run.folder
    moved = first.rename(first.with_name("mine"))
    saved = (moved / "last.pt").stat().st_ino
    assert run.folder == moved
    attached = AttachedRun(moved)
    assert attached.live
    send_request(moved, Request.STOP)
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0
    assert (moved / "last.pt").stat().st_ino != saved
    assert list(read_events(moved))[-1] == run.snapshot().ended
    assert [folder.name for folder in moved.parent.iterdir()] == ["mine"]
    assert told == [first, moved]
    assert config_to_resume(moved).epochs == 10_000


def test_a_run_whose_folder_is_removed_is_saved_in_a_new_one(make_run):
    member = Membership(sweep="rates", number=3)
    run = make_run(epochs=10_000, checkpoint_every_epochs=0, membership=member)
    start_and_save(run)
    folder = run.folder
    shutil.rmtree(folder, ignore_errors=True)  # the run writes into it meanwhile
    wait_until(lambda: any("somebody removed" in line.text for line in run.log_since(0)))
    wait_until((folder / "last.pt").exists)
    assert run.live
    assert read_membership(folder) == member
    send_request(folder, Request.STOP)
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0
    assert {"config.toml", "events.jsonl", "last.pt", "cifar_net.pth", "samples.bin"} <= set(
        os.listdir(folder)
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.is_socket()}


def remove_at(run, monkeypatch, is_moment):
    """Remove the folder of `run` once, in its thread; returns what will have been in it."""
    emit, removed = run._emit, {}

    def emit_and_remove(event):
        emit(event)
        if is_moment(event) and not removed:
            folder = run.folder
            removed.update(contents(folder))
            while folder.exists():
                shutil.rmtree(folder, ignore_errors=True)

    monkeypatch.setattr(run, "_emit", emit_and_remove)
    return removed


RESULTS = {"best.pt", "last.pt", "cifar_net.pth"}


@pytest.mark.parametrize(
    "is_moment",
    [
        pytest.param(lambda event: isinstance(event, TrainingFinished), id="before"),
        pytest.param(
            lambda event: event == PhaseChanged(phase=Phase.EVALUATING, time=event.time), id="during"
        ),
        pytest.param(lambda event: event == PhaseChanged(phase=Phase.DONE, time=event.time), id="after"),
    ],
)
def test_a_folder_removed_around_the_last_evaluation_is_made_again_with_its_results(
    make_run, monkeypatch, is_moment
):
    run = make_run(epochs=1, val_size=6)
    removed = remove_at(run, monkeypatch, is_moment)
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0, run.snapshot().ended.error
    assert any("somebody removed" in line.text for line in run.log_since(0))
    found = contents(run.folder)
    assert removed.keys() >= RESULTS
    assert {name: found.get(name) for name in RESULTS} == {name: removed[name] for name in RESULTS}
    assert found.keys() >= removed.keys() | {"report.json", "predictions.npz", "summary.json"}
    assert resumed(run, epochs=2).snapshot().ended.exit_code == 0


def test_a_folder_removed_while_its_weights_are_evaluated_again_is_made_again_with_them(
    make_run, monkeypatch
):
    run = make_run(epochs=1)
    removed = remove_at(
        run,
        monkeypatch,
        lambda event: run.snapshot().ended is not None and getattr(event, "phase", None) is Phase.EVALUATING,
    )
    run.start_training()
    assert run.wait(60)
    run.request(Request.EVALUATE)
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0, run.snapshot().ended.error
    assert contents(run.folder)["last.pt"] == removed["last.pt"]
    shutil.rmtree(run.folder)
    assert not run.folder.exists(), "it is nobody's any more"


def resumed(run, **changes):
    """Resume the ended `run` with its own settings but for `changes`; returns the resumed run."""
    config = config_to_resume(run.folder, read_run_config(run.folder).replace(**changes))
    again = LiveRun(config, checkpoints=run.folder.parent, resume=run.folder)
    again.start_training()
    assert again.wait(60)
    return again


def test_a_resume_says_which_settings_changed_and_refuses_the_others(make_run):
    run = make_run(epochs=1)
    run.start_training()
    assert run.wait(60)
    again = resumed(run, epochs=2, eval_every=0)
    assert again.snapshot().ended.exit_code == 0
    said = [line.text for line in again.log_since(0) if "settings changed" in line.text]
    assert said == ["settings changed since the checkpoint: epochs 1 → 2, eval_every 1 → at the end"]
    config = run.folder / "config.toml"
    before = (run.folder / "last.pt").read_bytes()
    config.write_text(config.read_text().replace("learning_rate = 0.001", "learning_rate = 5.0"))
    refused = resumed(run, epochs=3).snapshot().ended
    assert refused.exit_code == 2
    assert "config.toml has learning_rate 5.0, but last.pt was trained with 0.001" in refused.error
    assert (run.folder / "last.pt").read_bytes() == before


def test_a_run_is_resumed_with_its_own_images_from_another_working_directory(
    make_run, shared_image_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(shared_image_folder.parent)
    run = make_run(epochs=1, data=shared_image_folder.name)
    run.start_training()
    assert run.wait(60)
    monkeypatch.chdir(tmp_path)
    again = resumed(run, epochs=2)
    assert again.snapshot().ended.exit_code == 0
    assert not any("differ" in line.text for line in again.log_since(0))
