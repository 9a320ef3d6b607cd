"""Images of another size than 32x32 are decoded once into a file, of which a start reads nothing."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cifar_tui.engine.data import folder as folder_module
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress
from tests.engine.data.folders import load, skipped
from tests.engine.data.photos import QUIET, cached, pixels, unreadable, write_photo, write_photos


def test_a_warm_start_decodes_nothing_and_reads_no_pixels_until_they_are_taken(
    photos: Path, decoded_files: list[int], bytes_read: list[int]
) -> None:
    first = load(photos, image_size=96)
    again = load(photos, image_size=96)
    assert decoded_files == [18]
    assert bytes_read == []
    assert torch.equal(again.train.take(slice(2)), first.train.take(slice(2)))
    assert bytes_read == [3 * 96 * 96] * 4


def test_copies_are_found_without_reading_pixels(photos: Path, bytes_read: list[int]) -> None:
    shutil.copy(photos / "train" / "class0" / "001.png", photos / "test" / "class0" / "copy.png")
    for _ in range(2):
        (warning,) = load(photos, image_size=64).warnings
        assert warning.startswith("1 of 7 test images is also in the training set, pixel for pixel")
    assert bytes_read == []


def test_each_size_has_its_own_cache(photos: Path, decoded_files: list[int]) -> None:
    for size in (64, 48, 32, 64, 48, 32):
        assert load(photos, image_size=size).train.image_size == size
    assert decoded_files == [18] * 3
    assert len(cached(photos)) == 5, "for 32x32 pixels one file, for another size two"


def test_a_file_that_can_be_read_later_joins_the_others(
    photos: Path, monkeypatch: pytest.MonkeyPatch, decoded_files: list[int]
) -> None:
    with unreadable("001.png", monkeypatch):
        first = load(photos, image_size=48)
    assert (len(first.train), len(skipped(first))) == (10, 4)
    whole, again = load(photos, image_size=48), load(photos, image_size=48)
    assert decoded_files == [18, 4]
    (photos.parent / "data").rename(photos.parent / "old")
    fresh = load(photos, image_size=48)
    for dataset in (whole, again):
        assert torch.equal(pixels(dataset), pixels(fresh))
        assert dataset.train_files == fresh.train_files


def test_new_content_replaces_the_old_cache(photos: Path, decoded_files: list[int]) -> None:
    before = load(photos, image_size=64)
    old = cached(photos)
    write_photo(photos / "train" / "class0" / "new.png", 99)
    after = load(photos, image_size=64)
    assert (len(before.train), len(after.train)) == (12, 13)
    assert decoded_files == [18, 19]
    assert len(cached(photos)) == 2
    assert not set(old) <= set(cached(photos))
    assert len(pixels(before)) == 12, "a run that is active keeps the images it has"


def test_two_loads_at_once_leave_the_images_of_one_and_both_can_read_theirs(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, inner = folder_module.decode_files, []

    def meanwhile(*arguments, **options):
        if not inner:
            inner.append(None)
            inner[0] = load(photos, image_size=64)
        return real(*arguments, **options)

    monkeypatch.setattr(folder_module, "decode_files", meanwhile)
    outer = load(photos, image_size=64)
    assert len(cached(photos)) == 2
    assert torch.equal(pixels(outer), pixels(inner[0]))
    assert torch.equal(pixels(outer), pixels(load(photos, image_size=64)))


def test_an_old_cache_makes_room_for_the_new_one_first(photos: Path, small_disk: Path) -> None:
    def load_there() -> Dataset:
        return folder_module.load_folder(photos, data_dir=small_disk, seed=0, progress=QUIET, image_size=128)

    load_there()  # 1.1 MB, so there is no room for two
    write_photo(photos / "train" / "class0" / "new.png", 99)
    assert len(load_there().train) == 13


@pytest.mark.parametrize(
    "damage", ["shorter", "missing", "another name", "no facts", "of fewer files", "damaged"]
)
def test_a_damaged_cache_is_made_again(photos: Path, decoded_files: list[int], damage: str) -> None:
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
    assert decoded_files == [18, 18]
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
    photos: Path, small_disk: Path, decoded_files: list[int]
) -> None:
    with pytest.raises(DataUnavailableError) as caught:
        folder_module.load_folder(photos, data_dir=small_disk, seed=0, progress=QUIET, image_size=224)
    assert str(caught.value) == (
        f"18 images of 224×224 pixels need 3 MiB, '{small_disk}/cache' has 2 MiB free: free disk space, "
        "set data_dir to a folder with more, or lower image_size"
    )
    assert decoded_files == []


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
