"""Images of another size than 32x32, from every source."""

import itertools
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.data import file_images
from cifar_tui.engine.data.cifar10 import load_cifar10
from cifar_tui.engine.data.dataset import Dataset, split_validation
from cifar_tui.engine.data.file_images import THUMBNAIL, FileImages
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.data.synthetic import load_synthetic
from tests.engine.data.deep import write_png
from tests.engine.data.folders import load
from tests.engine.data.photos import QUIET, cached, expected_photo, pixels, unreadable

SYNTHETIC_65 = "b507ce2f"
"""The CRC-32 of 20 images of 65x65 pixels, the same on every machine."""


@pytest.mark.parametrize("size", [8, 31, 48, 64, 65, 96, 224])
def test_photos_are_resized_once_and_cropped_which_is_said(photos: Path, size: int) -> None:
    for dataset in (load(photos, image_size=size), load(photos, image_size=size)):
        for split, files in ((dataset.train, dataset.train_files), (dataset.test, dataset.test_files)):
            expected = np.stack([expected_photo(photos / file, size) for file in files])
            assert np.array_equal(split.take(slice(None)).permute(0, 2, 3, 1).numpy(), expected)
            assert split.image_size == size
        (note,) = dataset.notes
        resized = f"resized 120×90 → {size}×{size} (the centre square of all)"
        assert note == f"train/ 12 images of 2 classes, test/ 6, {resized}"


def test_images_are_taken_in_any_order_and_again(photos: Path) -> None:
    train = load(photos, image_size=48).train
    whole = train.take(slice(None))
    for indices in ([3], [11, 0, 0, 5], [], list(range(12))):
        chosen = torch.tensor(indices, dtype=torch.int64)
        assert torch.equal(train.take(chosen), whole[chosen])
        assert torch.equal(train.select(chosen).take(slice(None)), whole[chosen])
        assert torch.equal(train.select(chosen).targets, train.targets[chosen])
    rest, held_out = split_validation(train, 4, seed=1)
    together = torch.cat([rest.take(slice(None)), held_out.take(slice(None))])
    assert sorted(map(hash_of, together)) == sorted(map(hash_of, whole))


def test_all_images_are_loaded_into_the_memory_of_a_device(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_images, "_LOADED_IMAGES", 5)
    images = load(photos, image_size=48).train.images
    assert isinstance(images, FileImages)
    assert torch.equal(images.load(torch.device("cpu")), images.take(slice(None)))


def hash_of(image: torch.Tensor) -> bytes:
    return image.numpy().tobytes()


def test_thumbnails_are_stored_beside_larger_images(photos: Path, bytes_read: list[int]) -> None:
    dataset = load(photos, image_size=224)
    shown = dataset.test.thumbnails(slice(None))
    assert shown.shape == (6, 3, THUMBNAIL, THUMBNAIL)
    assert bytes_read == [3 * THUMBNAIL**2] * 6
    for picture, file in zip(shown, dataset.test_files, strict=True):
        expected = expected_photo(photos / file, THUMBNAIL).astype(int)
        assert np.abs(picture.permute(1, 2, 0).numpy() - expected).mean() < 3
    small = load(photos, image_size=40).test
    assert torch.equal(small.thumbnails(slice(None)), small.take(slice(None)))


def test_images_of_more_than_8_bits_share_one_scale(tmp_path: Path) -> None:
    for number in range(6):
        for name, value in (("dark", 100), ("light", 3000)):
            path = tmp_path / "images" / ("train" if number < 4 else "test") / name / f"{number}.png"
            write_png(path, np.full((40, 40, 1), value + 160 * number))
    small, large = load(tmp_path / "images"), load(tmp_path / "images", image_size=64)
    assert large.scales == small.scales == {"more than 8 bits": (0, 4095)}
    assert torch.equal(pixels(large)[:, :, 0, 0], pixels(small)[:, :, 0, 0])
    scaled = load(tmp_path / "images", image_size=64, scales={"more than 8 bits": (0, 65_535)})
    assert int(pixels(scaled).max()) < int(pixels(large).max()) // 10
    assert len(cached(tmp_path / "images")) == 3, "one for 32x32 pixels, and that of the own scale"
    assert torch.equal(pixels(load(tmp_path / "images", image_size=64)), pixels(large)), "from the cache"


@pytest.mark.parametrize("size", [32, 64])
def test_a_file_of_more_than_8_bits_that_can_be_read_later_changes_the_scale_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for part, number in itertools.product(("train", "test"), range(3)):
        for name in ("dark", "light"):
            path = tmp_path / "images" / part / name / f"{number}.png"
            write_png(path, np.full((40, 40, 1), 60_000 if number == 2 else 3000))
    with unreadable("2.png", monkeypatch):
        assert load(tmp_path / "images", image_size=size).scales == {"more than 8 bits": (0, 4095)}
    whole, again = (load(tmp_path / "images", image_size=size) for _ in range(2))
    assert whole.scales == again.scales == {"more than 8 bits": (0, 65_535)}
    assert torch.equal(pixels(whole), pixels(again))
    assert pixels(whole)[:, 0, 0, 0].tolist() == [12, 12, 233, 12, 12, 233]


@pytest.mark.parametrize("size", [31, 96])
def test_arrays_are_resized_too(tmp_path: Path, size: int) -> None:
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    path = tmp_path / "grey.npz"
    np.savez(path, x_train=grey[:4], y_train=[0, 1, 0, 1], x_test=grey[[4, 0]], y_test=[1, 0])
    dataset = loaded(str(path), tmp_path, size)
    assert dataset.train.take(slice(None)).shape == (4, 3, size, size)
    assert dataset.notes[1:] == (f"resized 28×28 → {size}×{size}", "converted to RGB: 6 grey")
    assert [warning.split(",")[0] for warning in dataset.warnings] == [
        "1 of 2 test images is also in the training set"
    ]
    assert list((tmp_path / "data" / "cache").iterdir()) == [], "the file has no name"


def test_a_table_and_the_official_files_are_of_that_size_too(
    photos: Path, small_archive: Callable[..., object], tmp_path: Path
) -> None:
    rows = [
        f"{path.relative_to(photos)},{path.parent.name},{path.parts[-3]}" for path in photos.rglob("*.png")
    ]
    (photos / "table.csv").write_text("\n".join(["path,label,split", *rows]))
    table = loaded(str(photos / "table.csv"), tmp_path, 56)
    assert sorted(map(hash_of, pixels(table))) == sorted(map(hash_of, pixels(load(photos, image_size=56))))
    official, as_published = (
        load_cifar10(data_dir=tmp_path, seed=0, progress=QUIET, image_size=size) for size in (48, 32)
    )
    assert official.notes == ("resized 32×32 → 48×48",)
    assert (len(official.train), len(official.test)) == (len(as_published.train), len(as_published.test))
    assert official.train.take(slice(1)).shape == (1, 3, 48, 48)
    difference = official.train.take(slice(None)).float().mean((1, 2, 3)) - pixels(as_published).float().mean(
        (1, 2, 3)
    )
    assert difference.abs().max() < 2


def loaded(source: str, tmp_path: Path, size: int) -> Dataset:
    return load_dataset(
        source,
        data_dir=tmp_path / "data",
        seed=0,
        report=lambda _: None,
        cancelled=lambda: False,
        image_size=size,
    )


def test_synthetic_shapes_are_drawn_larger(tmp_path: Path) -> None:
    small, large = (
        load_synthetic(
            data_dir=tmp_path, seed=3, progress=QUIET, image_size=size, train_images=20, test_images=10
        )
        for size in (32, 65)
    )
    assert isinstance(large.train.images, FileImages)
    assert f"{zlib.crc32(large.train.take(slice(None)).numpy().tobytes()):08x}" == SYNTHETIC_65
    assert large.train.take(slice(None)).shape == (20, 3, 65, 65)
    assert torch.equal(large.test.targets, small.test.targets)
    # the first class is drawn before the noise of others: its first image has the same disc
    first, again = small.train.take(slice(1)).float(), large.train.take(slice(1)).float()
    shrunk = torch.nn.functional.interpolate(again, 32, mode="bilinear", antialias=True)
    assert torch.corrcoef(torch.stack([first.flatten(), shrunk.flatten()]))[0, 1] > 0.8
