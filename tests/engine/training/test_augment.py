"""Augmentation: how often each change is sampled, and that it is sampled again the same."""

import pytest
import torch

from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.training.augment import Augmentation, augment, downscale, sample_augmentation

CPU = torch.device("cpu")


@pytest.fixture
def images():
    """4,000 images, each with its own pixels in random order, so that no two places look alike."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(1, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return pixels.repeat(100, 1, 1, 1)


def split_of(images):
    return ImageSplit(images=images, targets=torch.zeros(len(images), dtype=torch.int64))


def sampled(count, *, seed=0, epoch=0, **settings):
    return sample_augmentation(Augmentation(**settings), count, size=32, seed=seed, epoch=epoch, device=CPU)


def augmented(images, *, seed=0, epoch=0, **settings):
    """All images as an epoch changes them."""
    params = sampled(len(images), seed=seed, epoch=epoch, **settings)
    return augment(split_of(images), torch.arange(len(images)), params, Augmentation(**settings))


def test_without_any_the_images_are_normalized():
    images = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(augmented(images), normalize(images))


def test_shifts_are_windows_of_the_reflected_image_each_equally_often(images):
    shifted = augmented(images, translate=2)
    padded = torch.nn.functional.pad(normalize(images), (2, 2, 2, 2), mode="reflect")
    counts = []
    for row in range(5):
        for column in range(5):
            window = padded[:, :, row : row + 32, column : column + 32]
            counts.append((shifted == window).flatten(1).all(dim=1).sum().item())
    assert sum(counts) == len(images), "every image is one of the 25"
    assert min(counts) > 160 - 5 * 12.4, counts  # 12.4: the standard deviation
    assert max(counts) < 160 + 5 * 12.4, counts


def flipped(images, **settings):
    """Which images an epoch mirrored; each must be as it was or mirrored."""
    result, plain = augmented(images, **settings), normalize(images)
    same = (result == plain).flatten(1).all(dim=1)
    mirrored = (result == plain.flip(3)).flatten(1).all(dim=1)
    assert bool((same ^ mirrored).all())
    return mirrored


def test_a_random_flip_mirrors_half_of_the_images_and_others_at_every_epoch(images):
    first, second = (flipped(images, flip="random", epoch=epoch) for epoch in (0, 1))
    for share in (first, second, first ^ second):
        assert share.float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_an_alternating_flip_shows_every_image_both_ways_in_two_epochs(images):
    epochs = [flipped(images, flip="alternating", epoch=epoch) for epoch in range(4)]
    assert epochs[0].float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert torch.equal(epochs[1], ~epochs[0])
    assert torch.equal(epochs[2], epochs[0])
    assert torch.equal(epochs[3], epochs[1])
    assert not torch.equal(flipped(images, flip="alternating", seed=1), epochs[0])


def test_an_image_is_mirrored_after_it_was_shifted(images):
    few = images[:40]
    settings = {"translate": 3, "flip": "random"}
    params, result = sampled(len(few), **settings), augmented(few, **settings)
    assert 0 < int(params.flips.sum()) < len(few)
    padded = torch.nn.functional.pad(normalize(few), (3, 3, 3, 3), mode="reflect")
    for image, (row, column), flip, changed in zip(padded, params.offsets, params.flips, result, strict=True):
        window = image[:, row : row + 32, column : column + 32]
        assert torch.equal(changed, window.flip(2) if flip else window)


def test_cutout_makes_one_square_grey_anywhere_inside_the_image(images):
    result = augmented(images, cutout=12)
    grey = result == 0
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert bool((grey[:, 0].sum(dim=(1, 2)) == 144).all()), "no pixel of these images is grey by itself"
    tops, lefts = grey[:, 0].any(dim=2).int().argmax(dim=1), grey[:, 0].any(dim=1).int().argmax(dim=1)
    for firsts in (tops, lefts):
        counts = torch.bincount(firsts, minlength=21)
        assert len(counts) == 21
        assert int(counts.min()) > 190 - 5 * 13.5
        assert int(counts.max()) < 190 + 5 * 13.5
    assert torch.equal(result[~grey], normalize(images)[~grey])


def test_what_is_sampled_is_a_function_of_seed_epoch_and_image():
    everything = {"translate": 4, "flip": "random", "cutout": 8}
    torch.manual_seed(1)
    first = sampled(50, seed=3, epoch=2, **everything)
    state = torch.get_rng_state()
    again = sampled(50, seed=3, epoch=2, **everything)
    assert torch.equal(torch.get_rng_state(), state), "no number of the global generator is used"
    for name in ("offsets", "flips", "corners"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        for other in ({"seed": 4, "epoch": 2}, {"seed": 3, "epoch": 3}):
            assert not torch.equal(getattr(first, name), getattr(sampled(50, **other, **everything), name))


def test_reduced_images_look_the_same_at_three_quarters_of_the_size():
    column = torch.linspace(-1, 1, 32).expand(2, 3, 32, 32)
    small = downscale(column)
    assert small.shape == (2, 3, 24, 24)
    assert torch.allclose(small[..., 1:-1], torch.linspace(-1, 1, 24)[1:-1].expand(2, 3, 24, 22), atol=0.03)


def test_a_part_of_the_images_is_changed_as_in_the_whole(images):
    settings = Augmentation(translate=3, flip="random", cutout=5)
    params = sample_augmentation(settings, len(images), size=32, seed=0, epoch=0, device=CPU)
    indices = torch.tensor([7, 1, 3_999])
    whole = augment(split_of(images), torch.arange(len(images)), params, settings)
    assert torch.equal(augment(split_of(images), indices, params, settings), whole[indices])


@pytest.mark.parametrize("settings", [{"translate": 3}, {"cutout": 5}, {"flip": "random"}])
def test_an_image_drawn_several_times_in_an_epoch_differs_each_time(images, settings):
    augmentation = Augmentation(**settings)
    params = sampled(len(images), **settings)
    same, draws = torch.full((50,), 7), torch.arange(100, 150)
    changed = augment(split_of(images), same, params, augmentation, draws=draws)
    assert len(changed.unique(dim=0)) > 1
    expected = [
        augment(split_of(images[7:8].expand(len(images), -1, -1, -1)), row, params, augmentation)
        for row in draws.split(1)
    ]
    assert torch.equal(changed, torch.cat(expected))


def test_an_image_drawn_several_times_alternates_its_own_flip(images):
    flip = Augmentation(flip="alternating")
    same, draws = torch.full((50,), 7), torch.arange(100, 150)
    epochs = [
        augment(
            split_of(images), same, sampled(len(images), epoch=epoch, flip="alternating"), flip, draws=draws
        )
        for epoch in (0, 1)
    ]
    assert [len(changed.unique(dim=0)) for changed in epochs] == [1, 1]
    assert torch.equal(epochs[0], epochs[1].flip(3))
