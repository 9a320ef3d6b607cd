"""A run in processes that torchrun starts equals the run in one process with the same batches."""

import numpy as np
import pytest
import torch

from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.events import Evaluated, LossPoint
from cifar_tui.runs.disk.samples import read_predictions
from tests.engine.distributed.jobs import LOSSES, WEIGHTS, largest_difference, train_alone, write_pictures
from tests.torchrun import OUTPUT, events_in, kill_job, start_job, the_run

TUTORIAL = {"epochs": 2, "batch_size": 12, "backend": "eager", "chart_every": 1}

QUICK = PRESETS["quick"] | {"epochs": 2, "batch_size": 24, "val_size": 716, "eval_every": 0}
QUICK |= {"precision": "fp32", "chart_every": 1, "tta": "none"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "pictures.npz")


def train_with_torchrun(size, folder, data, **settings):
    """What the processes leave behind: the same as `train_alone`."""
    pairs = [f"--set={name}={value}" for name, value in settings.items()]
    job = start_job(size, "--device=cpu", f"--data={data}", *pairs, cwd=folder)
    try:
        job.wait(120)
    finally:
        kill_job(job.pid)
    assert job.returncode == 0, (folder / OUTPUT).read_text()
    checkpoints = folder / "checkpoints"
    predictions = read_predictions(the_run(checkpoints), classes=10)
    state = torch.load(the_run(checkpoints) / "last.pt", weights_only=True)
    return {
        "steps": state["step"],
        "weights": state["model"],
        "losses": [event.loss for event in events_in(checkpoints, LossPoint)],
        "counts": [
            (event.step, event.correct, event.per_class) for event in events_in(checkpoints, Evaluated)
        ],
        "predicted": predictions.predicted,
    }


@pytest.mark.parametrize("size", [2, 3])
def test_the_tutorial_in_two_and_three_processes_is_that_of_one(pictures, tmp_path, size):
    """200 steps."""
    alone = train_alone(tmp_path / "alone", pictures, **TUTORIAL)
    together = train_with_torchrun(size, tmp_path, pictures, **TUTORIAL)
    assert together["steps"] == alone["steps"] == 200
    assert together["losses"] == pytest.approx(alone["losses"], rel=LOSSES)
    assert largest_difference(together["weights"], alone["weights"]) < WEIGHTS
    assert together["counts"] == alone["counts"]
    assert np.array_equal(together["predicted"], alone["predicted"])


@pytest.mark.parametrize(("size", "rates"), [(2, 1), (3, 0.01)])
def test_quick_is_that_of_one_process_that_normalizes_the_same_parts_of_its_batches(
    pictures, tmp_path, size, rates
):
    """40 steps. Running statistics are those of the first process, whose parts are others.

    Two gradients have the same sum in either order, three have not. Batch normalization of eight images
    multiplies what they differ by: in one process, 3e-7 more learning rate of the biases changes losses by
    0.5 %. So three processes train at a hundredth of the learning rates.
    """
    settings = QUICK | {name: rates * QUICK[name] for name in ("learning_rate", "bias_lr", "head_lr")}
    alone = train_alone(tmp_path / "alone", pictures, **settings, backend="eager", accumulate=size)
    together = train_with_torchrun(size, tmp_path, pictures, **settings)
    assert together["steps"] == alone["steps"] == 40
    assert together["losses"] == pytest.approx(alone["losses"], rel=LOSSES)
    assert largest_difference(together["weights"], alone["weights"], buffers=False) < WEIGHTS
