"""A batch in parts is the whole batch, up to the rounding of sums."""

import dataclasses

import pytest
import torch
from torch import nn

from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.steps.accumulated import part_sizes
from cifar_tui.engine.steps.pytorch import BACKEND
from tests.engine.made_training import make_parts


def train(split, accumulate, **settings):
    """The losses and the weights of two epochs with a last batch of 3."""
    parts = make_parts(split, learning_rate=0.05, batch_size=16, accumulate=accumulate, **settings)
    if settings.get("class_weights") == "balanced":
        parts = dataclasses.replace(parts, class_weights=torch.linspace(0.1, 3, 10))
    runner = BACKEND.create(parts)
    order = torch.arange(51)
    with intra_op_threads(1):
        results = [result for step in (0, 4) for result in runner.run(order, step=step, max_steps=lambda: 9)]
    correct = sum(int(result.correct) for result in results)
    losses = torch.cat([result.losses for result in results])
    return losses, correct, nn.utils.parameters_to_vector(parts.net.parameters()).detach()


@pytest.mark.parametrize("accumulate", [2, 5, 40])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"class_weights": "balanced", "label_smoothing": 0.2},
        {"optimizer": "muon", "flip": "random", "translate": 2},
        {"class_weights": "balanced", "label_smoothing": 0.2, "mixup": 1.0, "cutmix": 1.0},
    ],
    ids=["plain", "weighted and smoothed", "muon and augmented", "weighted and mixed"],
)
def test_a_batch_in_parts_is_the_whole_batch(noise_dataset, accumulate, settings):
    """Each part of a sum is rounded to float32, 6e-8; some steps multiply it."""
    losses, correct, weights = train(noise_dataset.train, accumulate, **settings)
    whole_losses, whole_correct, whole_weights = train(noise_dataset.train, 1, **settings)
    assert losses == pytest.approx(whole_losses, rel=1e-5)
    assert correct == whole_correct
    assert torch.allclose(weights, whole_weights, rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights, whole_weights), "they are computed in parts"


@pytest.mark.parametrize(
    ("images", "parts", "sizes"), [(12, 3, {4}), (13, 3, {4, 5}), (3, 16, {1}), (1, 1, {1})]
)
def test_the_model_is_compiled_for_the_sizes_of_the_parts(images, parts, sizes):
    assert part_sizes(images, parts) == sizes
    assert sizes == {len(part) for part in torch.arange(images).tensor_split(min(parts, images))}
