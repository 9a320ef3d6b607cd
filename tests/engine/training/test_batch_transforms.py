"""Crops and colours of a batch beside torchvision's of each image."""

import pytest
import torch
from torchvision.transforms.v2 import functional

from cifar_tui.engine.training.batch_transforms import jittered, resized_crops

NAMES = ("brightness", "contrast", "saturation", "hue")
ADJUST = [
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
]
NONE = torch.tensor([1.0, 1.0, 1.0, 0.0])


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def every_kind_of_image(size):
    """Noise; gray; black, white and pure colours; colours with two channels alike."""
    noise = torch.randint(256, (12, 3, size, size), generator=drawn(), dtype=torch.uint8)
    gray = noise[:4, :1].expand(-1, 3, -1, -1)
    extremes = torch.randint(2, (4, 3, size, size), generator=drawn(1), dtype=torch.uint8) * 255
    alike = noise[4:8, [0, 0, 1]]
    return torch.cat([noise, gray, extremes, alike])


def orders_of(count):
    return torch.stack([torch.randperm(4, generator=drawn(index)) for index in range(count)])


def only(index, values):
    """Factors that change nothing but the `index`-th of brightness, contrast, saturation and hue."""
    factors = NONE.repeat(len(values), 1)
    factors[:, index] = values
    return factors


@pytest.mark.parametrize("size", [9, 32, 64])
@pytest.mark.parametrize("index", range(4), ids=NAMES)
def test_each_colour_change_is_torchvisions_within_a_level(index, size):
    images = every_kind_of_image(size)
    low, high = (-0.5, 0.5) if NAMES[index] == "hue" else (0, 2)
    values = torch.rand(len(images), generator=drawn(2)) * (high - low) + low
    values[:4] = torch.tensor([low, high, NONE[index], (low + high) / 2])
    expected = [ADJUST[index](image, value) for image, value in zip(images, values.tolist(), strict=True)]
    changed = jittered(images, orders_of(len(images)), only(index, values))
    levels = (changed.int() - torch.stack(expected).int()).abs()
    assert changed.dtype == torch.uint8
    assert levels.max() <= 1
    assert (levels == 0).float().mean() > 0.998


def test_each_image_has_its_changes_in_its_own_order():
    images = every_kind_of_image(32)
    orders = orders_of(len(images))
    factors = torch.tensor([0.7, 1.6, 1.4, 0.2]).repeat(len(images), 1)
    expected = []
    for image, order in zip(images, orders.tolist(), strict=True):
        for index in order:
            image = ADJUST[index](image, float(factors[0, index]))
        expected.append(image)
    levels = (jittered(images, orders, factors).int() - torch.stack(expected).int()).abs()
    assert (levels == 0).float().mean() > 0.99
    assert (jittered(images, orders.flip(0), factors) != torch.stack(expected)).float().mean() > 0.3


def boxes_in(size):
    """First row and column, height, width: of the whole, inside, of a row, a column, a pixel, at random."""
    random = torch.randint(1, size, (20, 4), generator=drawn())
    random[:, 2:] = torch.minimum(random[:, 2:], size - random[:, :2])
    end = size - 1
    special = [[0, 0, size, size], [end // 2, 0, 5, 4], [end, 0, 1, size], [0, 3, size, 1], [end, end, 1, 1]]
    return torch.cat([torch.tensor(special), random])


@pytest.mark.parametrize("size", [9, 32, 64])
def test_each_crop_is_torchvisions_within_a_level(size):
    boxes = boxes_in(size)
    images = every_kind_of_image(size)[:16].repeat(2, 1, 1, 1)[: len(boxes)]
    expected = [
        functional.resized_crop(image, *box, size=[size, size], antialias=True)
        for image, box in zip(images, boxes.tolist(), strict=True)
    ]
    crops = resized_crops(images, boxes)
    assert crops.dtype == torch.uint8
    assert (crops.int() - torch.stack(expected).int()).abs().max() <= 1
    assert torch.equal(crops[0], images[0]), "the whole image stays as it is"


@pytest.fixture
def threads():
    """Sets the number of threads that PyTorch computes with; puts it back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_an_image_becomes_the_same_in_any_batch_with_any_number_of_threads(threads):
    size = 65  # no multiple of what a vector unit takes; more pixels than are computed on at a time
    images, boxes = every_kind_of_image(size), boxes_in(size)[:24]
    orders, factors = orders_of(len(images)), torch.rand((len(images), 4), generator=drawn()) * 0.5
    threads(1)
    rows = torch.arange(len(images)).split(1)
    crops = torch.cat([resized_crops(images[row], boxes[row]) for row in rows])
    colours = torch.cat([jittered(images[row], orders[row], factors[row]) for row in rows])
    for count in (1, 2):
        threads(count)
        assert torch.equal(resized_crops(images, boxes), crops)
        assert torch.equal(jittered(images, orders, factors), colours)
