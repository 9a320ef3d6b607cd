"""A run in several processes equals the run in one with the same batches.

Sums in another order are rounded otherwise, to float32. Of the millions of values before a ReLU one may be so
near 0 that its sign differs, and with it whether an image adds to the gradient of that unit.
"""

import numpy as np
import pytest
import torch

from cifar_tui.engine.config.presets import PRESETS
from tests.engine.distributed.jobs import largest_difference, train_alone, train_together

LOSSES, WEIGHTS = 1e-5, 1e-3
"""How much losses and weights may differ, relative to theirs; weights by the gradients of such images."""

TUTORIAL = {"epochs": 2, "batch_size": 12, "backend": "eager", "chart_every": 1}

QUICK = PRESETS["quick"] | {"epochs": 2, "batch_size": 24, "val_size": 716, "eval_every": 0}
QUICK |= {"precision": "fp32", "chart_every": 1, "tta": "none"}

EVERYTHING = {
    "epochs": 2,
    "batch_size": 20,
    "chart_every": 1,
    "sampler": "weighted",
    "class_weights": "balanced",
    "label_smoothing": 0.2,
    "weight_averaging": "ema",
    "flip": "random",
    "translate": 2,
    "cutout": 4,
    "val_size": 194,
    "freeze": "backbone",
    "freeze_epochs": 1,
    "accumulate": 2,
}

MIXED = EVERYTHING | {"mixup": 0.5, "cutmix": 1.0, "freeze": "none", "freeze_epochs": 0}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """1,196 training and 1,001 test images, which neither processes nor batches divide."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 1196), ("test", 1001)):
        coarse = generator.integers(0, 200, (count, 4, 4, 3))
        fine = generator.integers(0, 56, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (coarse.repeat(8, axis=1).repeat(8, axis=2) + fine).astype(np.uint8)
        arrays[f"y_{part}"] = generator.integers(0, 10, count)
    path = tmp_path_factory.mktemp("pictures") / "pictures.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("size", [2, 3])
def test_the_tutorial_in_two_and_three_processes_is_that_of_one(pictures, tmp_path, size):
    """200 steps."""
    alone = train_alone(tmp_path / "alone", pictures, **TUTORIAL)
    together = train_together(size, tmp_path / "together", pictures, **TUTORIAL)
    assert together["steps"] == alone["steps"] == 200
    assert together["losses"] == pytest.approx(alone["losses"], rel=LOSSES)
    assert largest_difference(together["weights"], alone["weights"]) < WEIGHTS
    assert together["counts"] == alone["counts"]
    assert torch.equal(together["predicted"], alone["predicted"])


def test_quick_is_that_of_one_process_that_normalizes_the_same_parts_of_its_batches(pictures, tmp_path):
    """40 steps. Two parts have the same sum in either order; running statistics are of the first part."""
    alone = train_alone(tmp_path / "alone", pictures, **QUICK, backend="eager", accumulate=2)
    together = train_together(2, tmp_path / "together", pictures, **QUICK)
    assert together["steps"] == alone["steps"] == 40
    assert together["losses"] == pytest.approx(alone["losses"], rel=LOSSES)
    assert largest_difference(together["weights"], alone["weights"], buffers=False) < WEIGHTS


@pytest.mark.parametrize("settings", [EVERYTHING, MIXED], ids=["recipe", "mixed"])
def test_a_whole_recipe_with_a_last_batch_smaller_than_the_processes_is_that_of_one(
    pictures, tmp_path, settings
):
    """Of its 1,002 images the last batch has 2, and the third process none."""
    alone = train_alone(tmp_path / "alone", pictures, **settings, backend="eager")
    together = train_together(3, tmp_path / "together", pictures, **settings)
    assert together["losses"] == pytest.approx(alone["losses"], rel=LOSSES)
    assert largest_difference(together["weights"], alone["weights"]) < WEIGHTS
    assert together["counts"] == alone["counts"]
    assert together["validated"] == alone["validated"]
