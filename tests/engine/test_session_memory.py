"""A run whose device has too little memory: what is saved, and what to do about it."""

import pytest
import torch

from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Alert, CheckpointSaved, StepsDone
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_session import Run


def test_a_device_out_of_memory_is_one_sentence(tmp_path, image_folder, resumable, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    recipe, state = resumable
    monkeypatch.setattr(EagerSteps, "train_step", fail)
    with pytest.raises(RunFailedError, match=r"^out of memory .*: end other programs that use it"):
        Run(tmp_path, data=image_folder, epochs=2, **recipe).train(resume_from=state)
    new = Run(tmp_path / "new", data=image_folder, **recipe)
    with pytest.raises(RunFailedError, match=r"^out of memory .*: lower batch_size \(now 8\), or choose"):
        new.train()
    assert list(new.folder.iterdir()) == [], "no step was done"


FULL = torch.AcceleratorError(
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"
)


def fail_at(monkeypatch, step, error=FULL, *, before=lambda steps: None):
    """Have the step after `step` run out of memory."""
    train_step = EagerSteps.train_step

    def fail(steps, inputs, targets):
        if steps._step == step:
            before(steps)
            raise error
        return train_step(steps, inputs, targets)

    monkeypatch.setattr(EagerSteps, "train_step", fail)


def test_steps_before_memory_ran_out_are_saved_and_a_resume_continues_as_if_nothing_had_happened(
    tmp_path, image_folder, monkeypatch
):
    recipe = {"backend": "eager", "learning_rate": 0.01, "batch_size": 4, "chart_every": 6}
    whole = Run(tmp_path / "whole", data=image_folder, **recipe)
    whole.train()
    run = Run(tmp_path, data=image_folder, **recipe)
    with monkeypatch.context() as patch:
        fail_at(patch, 9)  # in the middle of a result
        with pytest.raises(RunFailedError, match=r"^out of memory .*: saved at step 9; lower batch_size"):
            run.train()
    assert run.of(CheckpointSaved)[-1].step == run.of(StepsDone)[-1].step == 9
    state = torch.load(run.folder / "last.pt", weights_only=True)
    assert state["step"] == 9
    assert run.train(resume_from=state).completed
    expected = torch.load(whole.folder / "cifar_net.pth", weights_only=True)
    found = torch.load(run.folder / "cifar_net.pth", weights_only=True)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_weights_that_are_not_finite_are_not_saved_where_memory_ran_out(tmp_path, image_folder, monkeypatch):
    def spoil(steps):
        with torch.no_grad():
            steps._net.fc3.bias.fill_(float("nan"))

    fail_at(monkeypatch, 3, before=spoil)
    run = Run(tmp_path, data=image_folder, backend="eager", chart_every=6)
    with pytest.raises(RunFailedError, match=r"^out of memory [^:]*: lower batch_size"):
        run.train()
    assert "the weights are not finite" in run.of(Alert)[-1].text
    assert not (run.folder / "last.pt").exists()


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, r"saved at step 6"),
        ({"val_size": 4, "eval_every": 0}, r"saved at step 5"),
        ({"epochs": 1}, r"cifar_net.pth' is kept"),
    ],
)
def test_an_evaluation_that_runs_out_of_memory_does_not_lose_the_training(
    tmp_path, image_folder, monkeypatch, settings, saved
):
    def fail():
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr("cifar_tui.engine.evaluation.evaluate.available_threads", fail)
    run = Run(tmp_path, data=image_folder, backend="eager", **settings)
    with pytest.raises(RunFailedError, match=f"{saved}; an evaluation takes 500 images at a time: end other"):
        run.train()
    step = torch.load(run.folder / "last.pt", weights_only=True)["step"]
    assert f"{step}" in saved or "kept" in saved


def test_images_for_which_a_device_has_no_memory_are_counted(tmp_path, image_folder, monkeypatch):
    def fail(*_):
        raise FULL

    monkeypatch.setattr("cifar_tui.engine.data.dataset.ImageSplit.to", fail)
    run = Run(tmp_path, data=image_folder)
    with pytest.raises(RunFailedError, match=r"^out of memory .*: the images need 0 MiB; end other programs"):
        run.train()
    assert not run.folder.exists()
