import os
import shutil
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.datasets import ImageFolder

from cifar_tui.engine.data import decode_files
from cifar_tui.engine.data import folder as folder_module
from cifar_tui.engine.data.decode import DecodedImage
from cifar_tui.engine.data.decode_files import DecodedFiles
from cifar_tui.engine.data.folder import choose_test_images, load_folder
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import LoadingProgress
from tests.engine.data.folders import load, skipped


@pytest.fixture
def decoded_counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each call decoded."""
    counts: list[int] = []
    real = folder_module.decode_files

    def counting(paths: Sequence[Path], **options: Any) -> DecodedFiles:
        counts.append(len(paths))
        return real(paths, **options)

    monkeypatch.setattr(folder_module, "decode_files", counting)
    return counts


def reds(images: torch.Tensor) -> list[int]:
    """The `value` of every picture."""
    return images[:, 0, 0, 0].tolist()


def test_train_and_test(both: Path) -> None:
    dataset = load(both)
    assert dataset.class_names == ("ape", "cat", "dog")
    assert dataset.title == f"folder {both}"
    assert not dataset.synthetic
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.targets.dtype == torch.int64
    assert dataset.train.images.shape == (12, 3, 32, 32)
    assert reds(dataset.train.images) == [200, 201, 0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert dataset.train.targets.tolist() == [0, 0, *[1] * 5, *[2] * 5]
    assert reds(dataset.test.images) == [50, 150, 51, 151, 152]
    assert dataset.test.targets.tolist() == [1, 2, 1, 2, 2]
    assert (dataset.train.images[:, 1] == 255 - dataset.train.images[:, 0]).all()
    assert (dataset.train.images[:, 2] == 7).all()


def test_order_is_that_of_torchvision(tmp_path: Path, picture: Callable[..., Path]) -> None:
    root = tmp_path / "images"
    names = [
        "b/10.png",
        "b/9.png",
        "b/sub/1.png",
        "b/sub-2/1.png",
        "a/z.png",
        "a/y/0.png",
        "C/x.png",
        "b/sub/a/1.png",
    ]
    for value, name in enumerate(names):
        picture(root / "train" / name, value)
    picture(root / "test" / "a" / "0.png")
    expected = [
        names.index(str(Path(path).relative_to(root / "train")))
        for path, _ in ImageFolder(root / "train").samples
    ]
    assert reds(load(root).train.images) == expected


@pytest.mark.parametrize("layout", ["train", "test", ""])
def test_one_part_or_none_is_split(tmp_path: Path, picture: Callable[..., Path], layout: str) -> None:
    root = tmp_path / "images"
    for value in range(12):
        picture(root / layout / "cat" / f"{value:02}.png", value)
        picture(root / layout / "dog" / f"{value:02}.png", 100 + value)
    for value in range(2):
        picture(root / layout / "eel" / f"{value:02}.png", 200 + value)
    dataset = load(root)
    assert dataset.class_names == ("cat", "dog", "eel")
    assert min(torch.bincount(dataset.train.targets, minlength=3)) >= 1
    assert dataset.test.targets[:3].tolist() == [0, 1, 2]
    assert dataset.seeded_split
    every = reds(dataset.train.images) + reds(dataset.test.images)
    assert sorted(every) == [*range(12), *range(100, 112), 200, 201]
    assert reds(load(root).test.images) == reds(dataset.test.images)
    assert any(reds(load(root, seed=seed).test.images) != reds(dataset.test.images) for seed in range(1, 5))


def test_a_split_that_the_folder_has_does_not_depend_on_the_seed(both: Path) -> None:
    assert not load(both).seeded_split


@pytest.mark.parametrize("seed", range(5))
def test_split_takes_about_one_in_six(seed: int) -> None:
    test = choose_test_images([f"{n}.png" for n in range(6000)], torch.zeros(6000).long(), seed=seed)
    assert int(test.sum()) == pytest.approx(1000, abs=120)  # four standard deviations


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_class_of_two_images_or_more_has_at_least_one_of_each(count: int) -> None:
    for seed in range(60):
        test = choose_test_images([f"{n}.png" for n in range(count)], torch.zeros(count).long(), seed=seed)
        assert (count == 1 and not test.any()) or 0 < int(test.sum()) < count


def test_pictures_that_come_and_go_leave_the_others_where_they_are(
    tmp_path: Path, picture: Callable[..., Path]
) -> None:
    root = tmp_path / "images"
    for value in range(40):
        for name, shift in (("cat", 0), ("dog", 100)):
            picture(root / name / f"{value:02}.png", value + shift)
    before = load(root)
    picture(root / "cat" / "000.png", 60)
    picture(root / "cat" / "zzz.png", 61)
    picture(root / "ape" / "0.png", 80)  # a class before the others
    picture(root / "ape" / "1.png", 81)
    in_training = reds(before.train.images)
    for gone in (value for value in in_training[:5] + in_training[-5:]):
        (root / ("cat" if gone < 100 else "dog") / f"{gone % 100:02}.png").unlink()
    after = load(root)
    assert set(reds(before.test.images)) <= set(reds(after.test.images))
    assert set(reds(after.test.images)).isdisjoint(in_training)


def test_the_unicode_form_of_a_path_does_not_matter_to_the_split() -> None:
    paths = [f"café/{n}.png" for n in range(50)]
    targets = torch.zeros(50).long()
    decomposed = [unicodedata.normalize("NFD", path) for path in paths]
    assert decomposed != paths
    assert torch.equal(
        choose_test_images(paths, targets, seed=1), choose_test_images(decomposed, targets, seed=1)
    )


def test_class_that_is_called_train(tmp_path: Path, picture: Callable[..., Path]) -> None:
    for name in ("bus", "train"):
        for value in range(2):
            picture(tmp_path / "images" / name / f"{value}.png", value)
    assert load(tmp_path / "images").class_names == ("bus", "train")


def test_hidden_files_and_folders_are_passed_over(both: Path, picture: Callable[..., Path]) -> None:
    picture(both / "train" / ".hidden" / "a.png")
    picture(both / "train" / "cat" / ".thumbnails" / "a.png")
    (both / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    dataset = load(both)
    assert dataset.class_names == ("ape", "cat", "dog")
    assert len(dataset.train) == 12
    assert skipped(dataset) == []


def test_broken_files_are_skipped_and_named(both: Path) -> None:
    (both / "train" / "cat" / "notes.txt").write_text("no image")
    (both / "test" / "dog" / "empty.png").write_bytes(b"")
    whole = (both / "train" / "dog" / "0.png").read_bytes()
    (both / "train" / "dog" / "half.png").write_bytes(whole[: len(whole) - 30])
    (both / "train" / "dog" / "gone.png").symlink_to("nowhere")
    os.mkfifo(both / "train" / "dog" / "pipe.png")
    for _ in range(2):  # decoded, then from the cache
        dataset = load(both)
        assert (len(dataset.train), len(dataset.test)) == (12, 5)
        assert reds(dataset.train.images)[-5:] == [100, 101, 102, 103, 104]
        assert [line.split(": ")[0] for line in skipped(dataset)] == [
            "test/dog/empty.png",
            "train/cat/notes.txt",
            "train/dog/gone.png",
            "train/dog/half.png",
            "train/dog/pipe.png",
        ]
        assert skipped(dataset)[1].endswith("not an image")
        assert "truncated" in skipped(dataset)[3]


def test_names_are_kept_as_they_are(both: Path, picture: Callable[..., Path]) -> None:
    picture(both / "train" / "\x1b[31mred" / "a.png")
    (both / "train" / "cat" / os.fsdecode(b"\xff\n.png")).write_bytes(b"")
    dataset = load(both)
    assert dataset.class_names[0] == "\x1b[31mred"  # escaped where it is printed
    named = os.fsdecode(b"train/cat/\xff\n.png: not an image")
    assert skipped(dataset) == skipped(load(both)) == [named], "from the cache, too"


def test_links_in_a_circle_end(both: Path) -> None:
    (both / "train" / "cat" / "loop").symlink_to(both, target_is_directory=True)
    (both / "train" / "cat" / "self").symlink_to("self")
    dataset = load(both)
    assert dataset.class_names == ("ape", "cat", "dog")
    assert len(dataset.train) == 12 + 12  # every image but those of the class itself once more


def test_linked_class_folder_is_followed(both: Path, tmp_path: Path, picture: Callable[..., Path]) -> None:
    picture(tmp_path / "elsewhere" / "a.png", 77)
    (both / "train" / "zebra").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert reds(load(both).train.images)[-1] == 77


def test_second_load_decodes_nothing(both: Path, decoded_counts: list[int]) -> None:
    first, second = load(both), load(both)
    assert decoded_counts == [17]
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.test.targets, second.test.targets)


def test_another_seed_needs_no_decoding(both: Path, decoded_counts: list[int]) -> None:
    shutil.rmtree(both / "test")
    load(both, seed=1)
    load(both, seed=2)
    assert decoded_counts == [12]


@pytest.mark.parametrize("change", ["add", "remove", "touch", "rewrite", "rename", "new class"])
def test_changed_folder_is_decoded_again(
    both: Path, decoded_counts: list[int], picture: Callable[..., Path], change: str
) -> None:
    load(both)
    cat = both / "train" / "cat"
    if change == "add":
        picture(cat / "9.png", 99)
    elif change == "remove":
        (cat / "0.png").unlink()
    elif change == "touch":
        os.utime(cat / "0.png", ns=(1, 1))
    elif change == "rewrite":
        status = (cat / "0.png").stat()
        (cat / "0.png").write_bytes((cat / "0.png").read_bytes() + b"x")
        os.utime(cat / "0.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "rename":
        (cat / "0.png").rename(cat / "8.png")
    else:
        picture(both / "train" / "yak" / "0.png", 9)
    load(both)
    assert len(decoded_counts) == 2
    assert len(list((both.parent / "data" / "cache").iterdir())) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty", "other"])
def test_damaged_cache_is_made_anew(both: Path, decoded_counts: list[int], damage: str) -> None:
    first = load(both)
    (cache,) = (both.parent / "data" / "cache").iterdir()
    data = bytearray(cache.read_bytes())
    if damage == "truncated":
        cache.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        position = data.find(bytes([7]) * 1000)  # inside the blue plane of an image
        assert position > 0
        data[position + 500] ^= 1
        cache.write_bytes(data)
    elif damage == "other":
        torch.save({"key": [1]}, cache)
    else:
        cache.write_bytes(b"text" if damage == "text" else b"")
    again = load(both)
    assert torch.equal(first.train.images, again.train.images)
    assert len(decoded_counts) == 2
    load(both)
    assert len(decoded_counts) == 2


def test_cache_that_cannot_be_written_is_no_error(both: Path, decoded_counts: list[int]) -> None:
    (both.parent / "data").write_text("a file where the folder would be")
    load(both)
    assert len(load(both).train) == 12
    assert len(decoded_counts) == 2


def test_images_outlive_the_cache_file(both: Path) -> None:
    load(both)
    dataset = load(both)
    (cache,) = (both.parent / "data" / "cache").iterdir()
    os.truncate(cache, 0)
    assert reds(dataset.train.images)[:2] == [200, 201]


def test_cancel_while_decoding_leaves_nothing(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_files, "_FILES_PER_TASK", 4)
    stop = threading.Event()
    stages = []

    def report(event: LoadingProgress) -> None:
        stages.append(event.stage)
        if event.stage == "decoding images":
            stop.set()

    for value in range(40):
        shutil.copy(both / "train" / "cat" / "0.png", both / "train" / "cat" / f"copy {value}.png")
    with pytest.raises(CancelledError):
        load_folder(both, data_dir=both.parent / "data", seed=0, progress=Progress(report, stop.is_set))
    assert stages[-1] == "decoding images"
    assert not (both.parent / "data").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_cancel_ends_the_decoding_soon(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, never = threading.Event(), threading.Event()
    decoded: list[Path] = []

    def slow(path: Path, size: int) -> DecodedImage:
        if decoded:
            stop.wait(20)
            never.wait(0.02)
        decoded.append(path)
        return DecodedImage(pixels=np.zeros((32, 32, 3), dtype=np.uint8), size=(32, 32), conversion=0)

    def report(event: LoadingProgress) -> None:
        if event.stage == "decoding images":
            stop.set()

    monkeypatch.setattr(decode_files, "decode_image", slow)
    monkeypatch.setattr(decode_files, "_FILES_PER_TASK", 1)
    with pytest.raises(CancelledError):
        load_folder(both, data_dir=both.parent / "data", seed=0, progress=Progress(report, stop.is_set))
    assert len(decoded) < 17


def test_progress_counts_the_images(both: Path) -> None:
    events = []
    load_folder(both, data_dir=both.parent / "data", seed=0, progress=Progress(events.append, lambda: False))
    last = [event for event in events if event.stage == "decoding images"][-1]
    assert (last.done, last.total, last.unit) == (17, 17, "images")
