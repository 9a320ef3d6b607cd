"""`LiveRun`: what makes a run fail, and what does not."""

import re

import pytest
import torch

from cifar_tui.engine import session
from cifar_tui.engine.events import Phase
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.resume_config import config_to_resume
from tests.runs.control.helpers import wait_until


def test_missing_data_ends_the_run_with_3_and_no_folder(make_run, tmp_path):
    run = make_run(data=str(tmp_path / "none"))
    run.start_training()
    assert run.wait(60)
    snapshot = run.snapshot()
    assert (snapshot.phase, snapshot.ended.exit_code) == (Phase.FAILED, 3)
    assert "none" in snapshot.ended.error
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_place_that_cannot_be_written_ends_the_run_with_2_before_anything_is_loaded(make_run, tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    run = make_run()
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 2
    assert run.snapshot().data is None


def test_an_internal_error_ends_the_run_and_leaves_its_traceback_in_the_log_file(make_run, at_first_point):
    run = make_run()
    at_first_point(run, lambda: 1 / 0)
    run.start_training()
    assert run.wait(60)
    ended = run.snapshot().ended
    assert ended.exit_code == 4
    path = run.folder / "run.log"
    assert ended.error == f"internal error (ZeroDivisionError: division by zero); details in '{path}'"
    assert "Traceback" in path.read_text()


def test_an_internal_error_on_a_disk_that_fails_leaves_its_traceback_on_the_screen(make_run, at_first_point):
    run = make_run()

    def fail():
        (run.folder / "run.log").mkdir()
        raise ZeroDivisionError("a defect")

    at_first_point(run, fail)
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.error == "internal error (ZeroDivisionError: a defect)"
    assert any("Traceback" in line.text for line in run.log_since(0))
    assert "run.log" in run.snapshot().alert.text


def test_an_internal_error_is_named_by_its_first_line(make_run, at_first_point):
    def fail():
        raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCUDA kernel errors might be")

    run = make_run()
    at_first_point(run, fail)
    run.start_training()
    assert run.wait(60)
    said = "internal error (AcceleratorError: CUDA error: device-side assert triggered); details in "
    assert run.snapshot().ended.error == f"{said}'{run.folder / 'run.log'}'"


@pytest.mark.parametrize("saved", [False, True])
def test_a_gpu_that_fails_is_no_internal_error_and_what_is_kept_is_said(make_run, monkeypatch, saved):
    evaluate = session.evaluate
    evaluated = []

    def fail(*args, **kwargs):
        evaluated.append(True)
        if len(evaluated) == (3 if saved else 1):
            raise torch.AcceleratorError(
                "CUDA error: unspecified launch failure\nCUDA kernel errors might be"
            )
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(session, "evaluate", fail)
    run = make_run(epochs=4)
    run.start_training()
    assert run.wait(60)
    ended = run.snapshot().ended
    left = "the checkpoint at step 12 is kept" if saved else "no checkpoint was saved"
    assert ended.exit_code == 4
    assert ended.error == (
        f"the GPU failed (CUDA error: unspecified launch failure); {left}. Start cifar-tui again, or choose "
        f"another device; details in '{run.folder / 'run.log'}'"
    )
    assert "Traceback" in (run.folder / "run.log").read_text()
    if saved:
        assert config_to_resume(run.folder) == with_absolute_folders(run.config)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc"),
        ImportError("libtorch_cuda.so: failed to map segment from shared object"),
        RuntimeError("could not create a primitive"),
    ],
    ids=repr,
)
def test_memory_that_runs_out_anywhere_is_no_internal_error(make_run, monkeypatch, error):
    def fail():
        raise error

    run = make_run()
    monkeypatch.setattr(run, "_open_session", fail)
    run.start_training()
    assert run.wait(60)
    ended = run.snapshot().ended
    assert ended.exit_code == 4
    assert re.fullmatch(
        r"out of memory \([^)]+\): end other programs, or use fewer or smaller files", ended.error
    )
    assert not any("Traceback" in line.text for line in run.log_since(0))


def test_a_run_that_diverges_pauses_and_keeps_its_last_checkpoint(make_run):
    run = make_run(learning_rate=100.0, epochs=1000, chart_every=1)
    run.start_training()
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    assert any("not finite at step" in line.text for line in run.log_since(0) if line.kind == "alert")
    run.request(Request.STOP)
    assert run.wait(60)
    ended = run.snapshot().ended
    assert ended.exit_code == 4
    assert "the weights are not finite" in ended.error
    assert list(read_events(run.folder))[-1] == ended


def test_a_run_that_diverges_before_it_saves_does_not_say_that_a_checkpoint_is_kept(make_run):
    run = make_run(learning_rate=100.0, epochs=1000, chart_every=1, checkpoint_every_epochs=0)
    run.start_training()
    wait_until(lambda: run.snapshot().phase is Phase.PAUSED)
    run.request(Request.STOP)
    assert run.wait(60)
    assert not (run.folder / "last.pt").exists()
    assert "no checkpoint was saved" in run.snapshot().ended.error


def test_images_that_cannot_be_kept_for_others_are_no_end(make_run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifar_tui.runs.disk.samples.write_atomically", refuse)
    run = make_run(epochs=1)
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0
    alerts = [line.text for line in run.log_since(0) if line.kind == "alert"]
    assert ["samples.bin" in text and "The run continues" in text for text in alerts] == [True]


def test_an_event_log_that_cannot_be_created_ends_the_run_with_4(make_run, monkeypatch):
    def refuse(_folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifar_tui.runs.disk.run_writer.EventLog", refuse)
    run = make_run()
    run.start_training()
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 4
    assert "No space left" in run.snapshot().ended.error
