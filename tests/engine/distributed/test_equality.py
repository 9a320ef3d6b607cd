"""A whole recipe in several processes equals that in one with the same batches."""

import pytest

from tests.engine.distributed.jobs import (
    LOSSES,
    WEIGHTS,
    largest_difference,
    train_alone,
    train_together,
    write_pictures,
)

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
    return write_pictures(tmp_path_factory.mktemp("pictures") / "pictures.npz")


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
