"""Pictures and labels in a file of numpy's."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tui.engine.data.convert import fit
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.errors import CancelledError, DataUnavailableError

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
TESTED = RANDOM.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
LABELS, TEST_LABELS = np.arange(12) % 3, np.arange(6) % 3
ARRAYS = {"x_train": PICTURES, "y_train": LABELS, "x_test": TESTED, "y_test": TEST_LABELS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures.npz"


def save(path, **changes):
    """Write the arrays of this test with `changes`, None for one that is left out."""
    arrays = {name: array for name, array in {**ARRAYS, **changes}.items() if array is not None}
    np.savez(path, **arrays)
    return path


def load(path, *, cancelled=lambda: False):
    return load_dataset(
        str(path), data_dir=path.parent / "data", seed=0, report=lambda _: None, cancelled=cancelled
    )


def refusal(path):
    with pytest.raises(DataUnavailableError) as refused:
        load(path)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    return sentence


def channels_first(pictures):
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())


def test_pictures_keep_their_pixels_and_numbers_name_the_classes(path):
    dataset = load(save(path))
    assert torch.equal(dataset.train.images, channels_first(PICTURES))
    assert torch.equal(dataset.test.images, channels_first(TESTED))
    assert dataset.train.targets.tolist() == LABELS.tolist()
    assert dataset.test.targets.tolist() == TEST_LABELS.tolist()
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.title == f"file {path}"
    assert dataset.notes == ("images of 3 classes: train 12, test 6",)
    assert dataset.warnings == ()
    assert dataset.validation is None


def test_a_name_is_one_class_however_its_accents_are_encoded(path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    labels = np.array([composed, decomposed, "tea"] * 4)
    dataset = load(save(path, y_train=labels, y_test=labels[:6]))
    assert dataset.class_names == (composed, "tea")
    assert dataset.train.targets.tolist() == [0, 0, 1] * 4


def test_channels_may_come_before_rows_which_is_said(path):
    dataset = load(save(path, x_train=PICTURES.transpose(0, 3, 1, 2)))
    assert torch.equal(dataset.train.images, channels_first(PICTURES))
    assert f"x_train in '{path}' has its channels before its rows: 12 × 3 × 32 × 32" in dataset.notes


@pytest.mark.parametrize("axis", [None, -1, 1])
def test_grey_pictures_get_three_equal_channels_which_is_said(path, axis):
    grey = PICTURES[..., 0] if axis is None else np.expand_dims(PICTURES[..., 0], axis)
    dataset = load(save(path, x_train=grey))
    expected = torch.from_numpy(PICTURES[..., 0]).unsqueeze(1).expand(-1, 3, -1, -1)
    assert torch.equal(dataset.train.images, expected)
    assert "converted to RGB: 12 grey" in dataset.notes


@pytest.mark.parametrize("shape", [(28, 28), (40, 60, 3)])
def test_pictures_of_another_size_are_resized_as_those_of_a_folder_which_is_said_once(path, shape):
    train, test = (RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8) for count in (12, 6))
    dataset = load(save(path, x_train=train, x_test=test))
    for split, pictures in ((dataset.train, train), (dataset.test, test)):
        expected = np.stack(
            [np.asarray(fit(Image.fromarray(picture), 32).convert("RGB")) for picture in pictures]
        )
        assert torch.equal(split.images, channels_first(expected))
    said = {
        (28, 28): "resized 28×28 → 32×32",
        (40, 60, 3): "resized 60×40 → 32×32 (the centre square of all)",
    }
    assert [note for note in dataset.notes if "resized" in note] == [said[shape]]


@pytest.mark.parametrize(
    ("convert", "said"),
    [
        (lambda x: (x / 255).astype(np.float32), "float32 converted to 8 bits: 0 is black and 1 is white"),
        (lambda x: x.astype(np.float64), "float64 converted to 8 bits: 0 is black and 255 is white"),
        (lambda x: x.astype(np.int64), "int64 converted to 8 bits: 0 is black and 255 is white"),
    ],
)
def test_numbers_of_another_type_are_converted_all_alike_which_is_said(path, convert, said):
    dark = np.zeros_like(TESTED)  # alone it might be of either scale
    dataset = load(save(path, x_train=convert(PICTURES), x_test=convert(dark)))
    assert torch.equal(dataset.train.images, channels_first(PICTURES))
    assert torch.equal(dataset.test.images, channels_first(dark))
    assert f"pictures of type {said}" in dataset.notes


@pytest.mark.parametrize(
    ("pictures", "reason"),
    [
        (PICTURES - 1.0, "have values from -1 to 255: save them as uint8, 0 to 255"),
        (PICTURES.astype(np.uint16) * 16, "have values from 0 to 4080: save them as uint8"),
        (np.full((12, 32, 32), np.nan), "have values from nan to nan"),
        (PICTURES > 128, "x_train in {path} is of type bool: save it as uint8"),
        (
            PICTURES[..., :2],
            "the shape 12 × 32 × 32 × 2: it must be N × H × W, N × H × W × 3 or N × 3 × H × W",
        ),
        (PICTURES.reshape(12, -1), "the shape 12 × 3072"),
        (np.uint8(3), "the shape (): it must be"),
        (PICTURES[:0], "the shape 0 × 32 × 32 × 3"),
        (
            PICTURES[:11],
            "y_train in {path} has the shape 12: it must have one class for each of the 11 pictures",
        ),
    ],
)
def test_pictures_that_cannot_be_told_are_refused(path, pictures, reason):
    alike = TESTED.astype(pictures.dtype)
    assert reason.format(path=f"'{path}'") in refusal(save(path, x_train=pictures, x_test=alike))


@pytest.mark.parametrize(
    "labels", [np.array(["dog", "cat", "bee"] * 4), np.array([b"dog", b"cat", b"bee"] * 4)]
)
def test_labels_may_be_names(path, labels):
    dataset = load(save(path, y_train=labels, y_test=np.array(["cat"] * 6)))
    assert dataset.class_names == ("bee", "cat", "dog")
    assert dataset.train.targets.tolist() == [2, 1, 0] * 4
    assert dataset.test.targets.tolist() == [1] * 6
    assert "2 classes 'bee', 'dog' have no test images: their accuracy is not measured" in dataset.warnings


def test_numbers_of_two_types_are_still_whole_numbers(path):
    high = 2**53  # above it, floats run together
    labels = LABELS.astype(np.uint64) + high
    dataset = load(save(path, y_train=labels, y_test=TEST_LABELS + high))
    assert dataset.class_names == tuple(str(high + number) for number in range(3))
    assert dataset.train.targets.tolist() == LABELS.tolist()
    assert dataset.test.targets.tolist() == TEST_LABELS.tolist()


def test_class_names_may_be_bytes(path):
    names = np.array([b"dog", b"bee", b"cat"])
    assert load(save(path, class_names=names)).class_names == ("dog", "bee", "cat")
    labelled = {"y_train": names[LABELS], "y_test": names[TEST_LABELS]}
    assert load(save(path, class_names=names, **labelled)).train.targets.tolist() == LABELS.tolist()


def test_numbers_from_1_keep_their_names_and_column_vectors_are_taken(path):
    dataset = load(save(path, y_train=LABELS[:, None] * 10 + 1, y_test=TEST_LABELS * 10 + 1))
    assert dataset.class_names == ("1", "11", "21")
    assert dataset.train.targets.tolist() == LABELS.tolist()


def test_class_names_name_the_numbers(path):
    dataset = load(save(path, class_names=np.array(["x", "b", "c", "unused"])))
    assert dataset.class_names == ("x", "b", "c", "unused")
    assert dataset.train.targets.tolist() == LABELS.tolist()
    assert any("'unused' has no training images" in warning for warning in dataset.warnings)


def test_class_names_order_labels_that_are_names(path):
    names = np.array(["dog", "bee", "cat"])
    dataset = load(save(path, y_train=names[LABELS], y_test=names[TEST_LABELS], class_names=names))
    assert dataset.class_names == ("dog", "bee", "cat")
    assert dataset.train.targets.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_names": np.array(["a", "b"])}, "go from 0 to 2, but class_names has 2 names"),
        ({"class_names": np.array(["a", "a", "b"])}, "must be different names"),
        ({"y_train": LABELS - 1, "class_names": np.array(["a", "b", "c"])}, "go from -1 to 2"),
        ({"y_train": np.array(["a"] * 12)}, "numbers in one split and names in another"),
        (
            {
                "y_train": np.array(["a"] * 12),
                "y_test": np.array(["b"] * 6),
                "class_names": np.array(["a", "c"]),
            },
            "lacks b, which are labels",
        ),
        ({"y_train": np.eye(3)[LABELS]}, "has the shape 12 × 3"),
        ({"y_train": LABELS.astype(float)}, "is of type float64: save whole numbers or class names"),
        ({"y_train": LABELS * 0, "y_test": TEST_LABELS * 0}, "has only one class (0)"),
        ({"y_train": np.array(["a", ""] * 6), "y_test": np.array(["a"] * 6)}, "has a label that is empty"),
        (
            {"y_test": None, "x_test": None},
            "lacks x_test, y_test (it has x_train, y_train): add what is missing",
        ),
        ({"y_train": np.array([{}] * 12)}, "holds Python objects, which are not unpickled"),
        ({"x_val": PICTURES}, "lacks y_val"),
        ({"y_train": np.full(12, 2**64 - 1, np.uint64)}, "has the label 18446744073709551615"),
        ({"x_test": TESTED / 255}, "x_train in {path} is of type uint8 and x_test of type float64: save all"),
    ],
)
def test_labels_that_cannot_be_told_are_refused(path, changes, reason):
    assert reason.format(path=f"'{path}'") in refusal(save(path, **changes))


def test_a_validation_split_is_taken_and_what_else_is_in_the_file_is_named(path):
    dataset = load(save(path, x_val=TESTED, y_val=TEST_LABELS, mean=np.zeros(3)))
    assert torch.equal(dataset.validation.images, channels_first(TESTED))
    assert dataset.notes == (
        "images of 3 classes: train 12, test 6, val 6",
        "left out of pictures.npz: mean",
    )
    (warning,) = dataset.warnings
    assert warning.startswith("6 of 6 test images are also in the validation set, pixel for pixel")
    assert "'x_test[0]' and 'x_val[0]'" in warning


def test_a_damaged_file_and_one_of_another_kind_are_refused(path):
    content = save(path).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"PK\x03\x04", content.replace(b"NUMPY", b"NUMBY")):
        path.write_bytes(damaged)
        assert "is damaged, or not an .npz file" in refusal(path)
    with path.open("wb") as file:
        np.save(file, PICTURES)
    assert "is a single array" in refusal(path)


def test_labels_of_no_pictures_are_named_as_left_out(path):
    dataset = load(save(path, y_val=TEST_LABELS))
    assert dataset.validation is None
    assert "left out of pictures.npz: y_val" in dataset.notes


def npy(header):
    """An array of numpy's with any header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


@pytest.mark.parametrize(
    "member",
    [
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1" + 30 * "0" + ", 32, 32, 3)}\n"),
        npy("{'descr': ('<f4',), 'fortran_order': False, 'shape': (1, 32, 32, 3)}\n"),
        npy("{'descr': '|u1'\n"),
        npy("(" * 5000 + "\n"),
        npy("{[]: 1}\n"),
        npy("{'descr': '|u1'," + " " * 20_000 + "'fortran_order': False, 'shape': (1, 32, 32, 3)}\n"),
    ],
    ids=["shape", "type", "cut", "nested", "unhashable", "long"],
)
def test_a_header_that_numpy_cannot_take_is_a_damaged_file(path, member):
    with zipfile.ZipFile(save(path, x_train=None), "a") as archive:
        archive.writestr("x_train.npy", member)
    assert "is damaged, or not an .npz file" in refusal(path)


def test_an_encrypted_file_one_of_text_and_a_broken_compression_are_refused(path):
    content = bytearray(save(path).read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # the flag of the first file in the directory
    content[content.find(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(content)
    assert "is damaged, or not an .npz file" in refusal(path)
    path.write_text("path,label\n")
    assert "is damaged, or not an .npz file" in refusal(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, pictures in ARRAYS.items():
            array = io.BytesIO()
            np.save(array, pictures)
            archive.writestr(f"{name}.npy", array.getvalue())
    content = bytearray(path.read_bytes())
    content[60:80] = b"\xff" * 20
    path.write_bytes(content)
    assert "is damaged, or not an .npz file" in refusal(path)


def test_a_file_that_unpacks_to_more_than_the_memory_is_refused_before_it_is_read(path, monkeypatch):
    np.savez_compressed(path, **{**ARRAYS, "x_train": np.zeros((5000, 32, 32, 3), np.uint8)})
    size = path.stat().st_size
    monkeypatch.setattr("cifar_tui.engine.data.npz_file._memory_bytes", lambda: 100 * size)
    assert refusal(path) == f"'{path}' has more pictures than fit into memory: save fewer"


def test_a_conversion_that_runs_out_of_memory_is_one_sentence(path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("cifar_tui.engine.data.npz_file.fit_pictures", full)
    assert refusal(save(path)) == f"'{path}' has more pictures than fit into memory: save fewer"


def test_what_is_no_array_is_refused(path):
    with zipfile.ZipFile(save(path, x_train=None), "a") as archive:
        archive.writestr("x_train.npy", b"no array")
    assert "x_train in" in refusal(path)
    assert "is not an array: save it with numpy.savez" in refusal(path)


def test_nothing_in_the_file_is_unpickled(path):
    class Mark:
        def __reduce__(self):
            return Path.touch, (path.parent / "unpickled",)

    save(path, y_train=np.array([Mark()] * 12, dtype=object))
    refusal(path)
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    refusal(path)
    assert not (path.parent / "unpickled").exists()


def test_a_file_that_is_not_there_or_not_a_file_is_refused(path):
    assert "No such file or directory" in refusal(path)
    os.mkfifo(path)
    assert "is not a regular file" in refusal(path)


def test_a_stop_ends_it(path):
    with pytest.raises(CancelledError):
        load(save(path), cancelled=lambda: True)
