"""Images of another size than 32x32: decoded once into a file, of which a start reads nothing."""

import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.data import decode, file_images
from cifar_tui.engine.data import folder as folder_module
from cifar_tui.engine.data.cifar10 import load_cifar10
from cifar_tui.engine.data.dataset import Dataset, split_validation
from cifar_tui.engine.data.decode import UnreadableImageError
from cifar_tui.engine.data.file_images import THUMBNAIL, FileImages
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.data.synthetic import load_synthetic
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress
from tests.engine.data.deep import write_png
from tests.engine.data.folders import load, skipped
from tests.engine.data.photos import expected_photo, write_photo, write_photos

SYNTHETIC_65 = "b507ce2f"
"""The CRC-32 of 20 images of 65x65 pixels, the same on every machine."""
QUIET = Progress(lambda _: None, lambda: False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, each with 6 training and 3 test photos of 120x90 pixels."""
    return write_photos(tmp_path / "photos", train=6, test=3)


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes of pixels each read took."""
    counts: list[int] = []
    preadv = os.preadv

    def counted(descriptor, buffers, offset):
        counts.append(sum(map(len, buffers)))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counted)
    return counts


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each call decoded."""
    counts: list[int] = []
    real = folder_module.decode_files

    def counting(paths, **options):
        counts.append(len(paths))
        return real(paths, **options)

    monkeypatch.setattr(folder_module, "decode_files", counting)
    return counts


def cached(photos: Path) -> list[str]:
    return sorted(path.name for path in (photos.parent / "data" / "cache").iterdir())


def pixels(dataset: Dataset) -> torch.Tensor:
    return dataset.train.take(slice(None))


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


def test_a_warm_start_decodes_nothing_and_reads_no_pixels_until_they_are_taken(
    photos: Path, decoded: list[int], bytes_read: list[int]
) -> None:
    first = load(photos, image_size=96)
    again = load(photos, image_size=96)
    assert decoded == [18]
    assert bytes_read == []
    assert torch.equal(again.train.take(slice(2)), first.train.take(slice(2)))
    assert bytes_read == [3 * 96 * 96] * 4


def test_copies_are_found_without_reading_pixels(photos: Path, bytes_read: list[int]) -> None:
    shutil.copy(photos / "train" / "class0" / "001.png", photos / "test" / "class0" / "copy.png")
    for _ in range(2):
        (warning,) = load(photos, image_size=64).warnings
        assert warning.startswith("1 of 7 test images is also in the training set, pixel for pixel")
    assert bytes_read == []


def test_each_size_has_its_own_cache(photos: Path, decoded: list[int]) -> None:
    for size in (64, 48, 32, 64, 48, 32):
        assert load(photos, image_size=size).train.image_size == size
    assert decoded == [18] * 3
    assert len(cached(photos)) == 5, "for 32x32 pixels one file, for another size two"


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


def test_a_file_that_can_be_read_later_joins_the_others(
    photos: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    real = decode.decode_image

    def failing(path, size):
        if path.name == "001.png":
            raise UnreadableImageError("Input/output error", passing=True)
        return real(path, size)

    with monkeypatch.context() as patch:
        patch.setattr("cifar_tui.engine.data.decode_files.decode_image", failing)
        first = load(photos, image_size=48)
    assert (len(first.train), len(skipped(first))) == (10, 4)
    whole, again = load(photos, image_size=48), load(photos, image_size=48)
    assert decoded == [18, 4]
    (photos.parent / "data").rename(photos.parent / "old")
    fresh = load(photos, image_size=48)
    for dataset in (whole, again):
        assert torch.equal(pixels(dataset), pixels(fresh))
        assert dataset.train_files == fresh.train_files


def test_new_content_replaces_the_old_cache(photos: Path, decoded: list[int]) -> None:
    before = load(photos, image_size=64)
    old = cached(photos)
    write_photo(photos / "train" / "class0" / "new.png", 99)
    after = load(photos, image_size=64)
    assert (len(before.train), len(after.train)) == (12, 13)
    assert decoded == [18, 19]
    assert len(cached(photos)) == 2
    assert not set(old) <= set(cached(photos))
    assert len(pixels(before)) == 12, "a run that is active keeps the images it has"


def test_an_old_cache_makes_room_for_the_new_one_first(photos: Path, small_disk: Path) -> None:
    def load_there() -> Dataset:
        return folder_module.load_folder(photos, data_dir=small_disk, seed=0, progress=QUIET, image_size=128)

    load_there()  # 1.1 MB, so there is no room for two
    write_photo(photos / "train" / "class0" / "new.png", 99)
    assert len(load_there().train) == 13


@pytest.mark.parametrize(
    "damage", ["shorter", "missing", "another name", "no facts", "of fewer files", "damaged"]
)
def test_a_damaged_cache_is_made_again(photos: Path, decoded: list[int], damage: str) -> None:
    expected = pixels(load(photos, image_size=64))
    cache = photos.parent / "data" / "cache"
    (images,), (known,) = cache.glob("*.pixels"), cache.glob("*.pt")
    content = torch.load(known, weights_only=True)
    if damage == "shorter":
        os.truncate(images, 100)
    elif damage == "missing":
        images.unlink()
    elif damage == "another name":
        torch.save(content | {"pixels": "../../photos/train/class0/001.png"}, known)
    elif damage == "of fewer files":
        torch.save(content | {"facts": content["facts"][: len(content["facts"]) // 18 * 17]}, known)
        os.truncate(images, images.stat().st_size // 18 * 17)
    elif damage == "no facts":
        torch.save(content | {"facts": content["facts"][:60]}, known)
    else:
        known.write_bytes(b"x")
    assert torch.equal(pixels(load(photos, image_size=64)), expected)
    assert decoded == [18, 18]
    assert len(cached(photos)) == 2


@pytest.mark.parametrize("damage", ["a wrong byte", "shorter"])
def test_images_that_are_damaged_while_they_are_used_are_an_error_and_not_a_wrong_number(
    photos: Path, damage: str
) -> None:
    train = load(photos, image_size=64).train
    (images,) = (photos.parent / "data" / "cache").glob("*.pixels")
    with images.open("r+b") as file:
        if damage == "shorter":
            file.truncate(1000)
        else:
            file.seek(50)
            byte = file.read(1)[0]
            file.seek(50)
            file.write(bytes([byte ^ 1]))
    reason = "it has become shorter" if damage == "shorter" else "it is damaged"
    with pytest.raises(DataUnavailableError) as caught:
        train.take(slice(None))
    assert str(caught.value) == (
        f"cannot read the decoded images in '{images}' ({reason}): remove it, and start again to decode them "
        "again"
    )


def test_a_cancelled_decode_leaves_nothing(photos: Path) -> None:
    stages = []

    def report(event: LoadingProgress) -> None:
        stages.append(event.stage)

    progress = Progress(report, lambda: stages[-1:] == ["decoding images"])
    with pytest.raises(CancelledError):
        folder_module.load_folder(
            photos, data_dir=photos.parent / "data", seed=0, progress=progress, image_size=64
        )
    assert cached(photos) == []


DECODING = """
import sys, time
from pathlib import Path
from cifar_tui.engine.data import decode_files
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.folder import load_folder
real, done = decode_files.decode_image, []
def slow(path, size):
    if len(done) == 3:
        print("decoding", flush=True)
        time.sleep(600)
    done.append(path)
    return real(path, size)
decode_files.decode_image = slow
load_folder(
    Path(sys.argv[1]), data_dir=Path(sys.argv[2]), seed=0, progress=Progress(lambda _: None, lambda: False),
    image_size=64,
)
"""


@pytest.fixture
def decoding(photos: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of decoding the photos."""
    arguments = [sys.executable, "-c", DECODING, str(photos), str(photos.parent / "data")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "decoding\n"
    yield process
    process.kill()
    process.wait()


def test_what_a_killed_decode_left_is_removed_by_the_next(
    photos: Path, decoding: subprocess.Popen[str]
) -> None:
    (left,) = cached(photos)
    assert left.endswith(".tmp")
    decoding.send_signal(signal.SIGKILL)
    decoding.wait()
    assert len(load(photos, image_size=64).train) == 12
    assert left not in cached(photos)
    assert len(cached(photos)) == 2


def test_what_another_process_is_decoding_into_stays(photos: Path, decoding: subprocess.Popen[str]) -> None:
    (theirs,) = cached(photos)
    assert len(load(photos, image_size=64).train) == 12
    assert theirs in cached(photos)


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_without_room_is_said_before_anything_is_decoded(
    photos: Path, small_disk: Path, decoded: list[int]
) -> None:
    with pytest.raises(DataUnavailableError) as caught:
        folder_module.load_folder(photos, data_dir=small_disk, seed=0, progress=QUIET, image_size=224)
    assert str(caught.value) == (
        f"18 images of 224×224 pixels need 3 MiB, '{small_disk}/cache' has 2 MiB free: free disk space, "
        "set data_dir to a folder with more, or lower image_size"
    )
    assert decoded == []


def test_a_disk_that_becomes_full_is_one_sentence(
    photos: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(photos)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)  # other programs write at the same time
    with pytest.raises(DataUnavailableError) as caught:
        folder_module.load_folder(photos, data_dir=small_disk, seed=0, progress=QUIET, image_size=224)
    assert str(caught.value) == (
        f"cannot write the decoded images to '{small_disk}/cache' (No space left on device): free disk "
        "space, or set data_dir to a folder that can be written"
    )


def test_a_data_dir_that_is_a_file_is_one_sentence(photos: Path) -> None:
    (photos.parent / "data").touch()
    with pytest.raises(DataUnavailableError, match=r"cannot write the decoded images to '.*/data/cache' \("):
        load(photos, image_size=64)


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


def test_a_start_from_the_cache_of_many_photos_takes_memory_for_none(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", train=100, test=20)
    load(tmp_path / "photos", image_size=512)
    assert sum(path.stat().st_size for path in (tmp_path / "data" / "cache").iterdir()) > 180 * 2**20
    before = resident()
    train = load(tmp_path / "photos", image_size=512).train
    for first in range(0, len(train), 16):
        train.take(torch.arange(first, min(first + 16, len(train))))
    assert resident() - before < 60 * 2**20, "of 160 MB, 16 images at a time"


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
