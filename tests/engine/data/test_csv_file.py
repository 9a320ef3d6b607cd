"""Image files and their labels listed in a table."""

import os

import pytest
import torch
from PIL import Image

from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.errors import CancelledError, DataUnavailableError
from tests.engine.data.folders import skipped

CLASSES = ("cat", "dog")


@pytest.fixture
def table(tmp_path, picture):
    """A table, not written yet, beside 8 pictures of 2 classes: pictures/0.png to 7.png, cats first."""
    for number in range(8):
        picture(tmp_path / "pictures" / f"{number}.png", value=number * 30)
    return tmp_path / "list.csv"


ROWS = [(f"pictures/{number}.png", CLASSES[number // 4]) for number in range(8)]
SPLITS = ["train", "train", "val", "test"] * 2


def write(table, rows=ROWS, *, splits=None, header=None, delimiter=",", **how):
    header = header or (("path", "label", "split") if splits else ("path", "label"))
    lines = (
        [header, *((*row, split) for row, split in zip(rows, splits, strict=True))]
        if splits
        else [header, *rows]
    )
    table.write_text("\n".join(delimiter.join(line) for line in lines) + "\n", **how)
    return table


def load(table, *, seed=0, cancelled=lambda: False):
    return load_dataset(
        str(table), data_dir=table.parent / "data", seed=seed, report=lambda _: None, cancelled=cancelled
    )


def refusal(table):
    with pytest.raises(DataUnavailableError) as refused:
        load(table)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(table) in sentence
    return sentence


def colours(split):
    """The red of the first pixel of each image, which tells them apart."""
    return split.images[:, 0, 0, 0].tolist()


def test_a_table_with_splits(table):
    dataset = load(write(table, splits=SPLITS))
    assert dataset.class_names == CLASSES
    assert (colours(dataset.train), dataset.train.targets.tolist()) == ([0, 30, 120, 150], [0, 0, 1, 1])
    assert (colours(dataset.validation), dataset.validation.targets.tolist()) == ([60, 180], [0, 1])
    assert (colours(dataset.test), dataset.test.targets.tolist()) == ([90, 210], [0, 1])
    assert dataset.title == f"file {table}"
    assert dataset.notes == ("train 4 images of 2 classes, val 2 (for validation), test 2",)
    assert dataset.warnings == ()
    assert not dataset.seeded_split
    assert dataset.root == table.parent
    assert dataset.train_files == tuple(f"pictures/{number}.png" for number in (0, 1, 4, 5))


def test_without_splits_the_seed_chooses_the_test_images(table):
    dataset = load(write(table))
    assert (len(dataset.train), len(dataset.test)) == (6, 2)
    assert dataset.seeded_split
    assert dataset.notes == ("8 images of 2 classes (2 of them, chosen by the seed, used as test)",)
    again, *others = (load(table, seed=seed) for seed in range(6))
    assert again.test_files == dataset.test_files
    assert any(other.test_files != dataset.test_files for other in others)


def test_val_is_the_test_split_where_there_is_no_other_which_is_said(table):
    dataset = load(write(table, splits=["Train", "TRAIN", "valid", "training"] * 2))
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (6, 2, None)
    assert dataset.notes == ("train 6 images of 2 classes, val 2 (used as test)",)


def test_what_is_missing_is_named_and_counted(table):
    rows = [*ROWS, ("pictures/9.png", "cat"), ("pictures", "dog"), ("", "")]
    (table.parent / "pictures" / "3.png").write_text("no image")
    dataset = load(write(table, rows))
    assert len(dataset.train) + len(dataset.test) == 7
    assert skipped(dataset) == [
        "pictures: not a regular file",
        "pictures/3.png: not an image",
        "pictures/9.png: no such file",
    ]
    assert any(warning.startswith("skipped 3 files that could not be read") for warning in dataset.warnings)


def test_pictures_are_resized_and_converted_as_those_of_a_folder(table):
    Image.new("L", (40, 50)).save(table.parent / "pictures" / "0.png")
    dataset = load(write(table, splits=SPLITS))
    assert dataset.notes == (
        (
            "train 4 images of 2 classes, val 2 (for validation), test 2, 1 resized 40×50 → 32×32 "
            "(the centre square of 1)"
        ),
        "converted to RGB: 1 grey",
    )


def test_decoded_pictures_are_kept_until_a_row_or_a_file_changes(table, monkeypatch):
    first = load(write(table, splits=SPLITS))
    with monkeypatch.context() as patch:
        patch.delattr("cifar_tui.engine.data.folder.decode_files")
        assert torch.equal(load(table).train.images, first.train.images)
    relabelled = [(path, "cat" if label == "dog" else "dog") for path, label in ROWS]
    assert load(write(table, relabelled, splits=SPLITS)).train.targets.tolist() == [1, 1, 0, 0]
    Image.new("RGB", (32, 32), (7, 7, 7)).save(table.parent / "pictures" / "0.png")
    assert colours(load(table).train) == [7, 30, 120, 150]


@pytest.mark.parametrize(
    "how",
    [
        {"delimiter": ";"},
        {"delimiter": "\t"},
        {"header": ("Path", " LABEL ")},
        {"encoding": "utf-8-sig"},
        {"newline": "\r\n"},
        {"rows": [(path.replace("/", "\\"), label) for path, label in ROWS]},
        {"rows": [(f'"{path}"', label) for path, label in ROWS]},
        {"rows": [(path, f' "{label}"') for path, label in ROWS]},
        {"rows": [(path, f"{label}, ") for path, label in ROWS]},
    ],
)
def test_tables_of_other_programs_are_read(table, how):
    other, plain = load(write(table, **how)), load(write(table))
    assert (other.test_files, other.class_names) == (plain.test_files, plain.class_names)


def test_absolute_paths_and_columns_in_any_order_are_taken_and_others_named(table):
    rows = [(label, "1", str(table.parent / path)) for path, label in ROWS]
    dataset = load(write(table, rows, header=("label", "Width", "path")))
    assert len(dataset.train) + len(dataset.test) == 8
    assert "columns not used: 'width'" in dataset.notes


def test_labels_that_are_numbers_are_sorted_by_value(table):
    rows = [(path, ("9", "10", "011", "8")[number % 4]) for number, (path, _) in enumerate(ROWS)]
    assert load(write(table, rows)).class_names == ("8", "9", "10", "011")


def test_labels_of_more_digits_than_python_converts_are_names(table):
    long = "9" * 5000
    rows = [(path, long if label == "cat" else "10") for path, label in ROWS]
    assert load(write(table, rows)).class_names == ("10", long)


def test_a_file_that_is_listed_again_is_used_once_which_is_said(table):
    once = load(write(table, splits=SPLITS))
    again = load(write(table, [*ROWS, ROWS[0], ROWS[1]], splits=[*SPLITS, *SPLITS[:2]]))
    assert again.notes == (*once.notes, "left out: 2 rows that list a file again")
    assert again.train_files == once.train_files
    other = (f"./{ROWS[3][0]}", ROWS[3][1])
    again = load(write(table, [*ROWS, other], splits=[*SPLITS, SPLITS[3]]))
    assert again.notes == (*once.notes, "left out: 1 row that lists a file again")
    assert again.test_files == once.test_files


def test_a_picture_in_two_splits_under_two_names_is_an_alert(table):
    (table.parent / "copy.png").write_bytes((table.parent / "pictures" / "0.png").read_bytes())
    (warning,) = load(write(table, [*ROWS, ("copy.png", "cat")], splits=[*SPLITS, "test"])).warnings
    assert warning.startswith("1 of 3 test images is also in the training set")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty: it must name the columns path,label or path,label,split"),
        ("a.png,cat\n", "is 'a.png,cat': it must name the columns"),
        ("path,label\n", "lists no images: add a row for each"),
        ("path,label\na.png\n", "line 2 of the file '{table}' has no label"),
        ("path,label\n\n,cat\n", "line 3 of the file '{table}' has no path"),
        ("path,label,split\na.png,cat,\n", "has no split: add it, or remove the line"),
        ("path,label,split\na.png,cat,dev\n", "has the split 'dev': it must be train, val or test"),
        ("path,label\na.png,cat\nb.png,cat\n", "has only one label (cat): add a second class"),
        ("path,label\na.png,cat\nb.png,Cat\n", "the labels 'Cat' and 'cat'"),
        ("path,label,label\na.png,cat,dog\n", "names the column label twice: rename one of them"),
        (
            "path,label\na.png,cat\nb.png,cat, tabby\n",
            "line 3 of the file '{table}' has 3 cells, but there are 2 columns: put a cell with",
        ),
        ("path,label\na.png,cat\n./a.png,dog\n", "has './a.png' with two labels, 'cat' in line 2 and"),
        ("path,label\na.png,cat\na.png,dog\n", "with two labels, 'cat' in line 2 and 'dog' in line 3"),
        (
            "path,label,split\na.png,cat,train\na.png,cat,test\n",
            "with two splits, 'train' in line 2 and 'test' in line 3",
        ),
        ("path,label,split\na.png,cat,val\nb.png,dog,test\n", "has no rows with split train: add them"),
        (
            "path,label\na.png,cat\nb.png,dog\n",
            "lists no images that can be read (2 files skipped, the first: a.png: no such file): paths are",
        ),
        (
            "path,label\na.png,cat\npictures/0.png,dog\npictures/1.png,dog\n",
            "has no images of class 'cat' (1 files skipped, the first: a.png: no such file): list",
        ),
        (
            "path,label,split\npictures/0.png,cat,train\npictures/1.png,dog,train\na.png,cat,test\n",
            "has no test images: add rows with split test",
        ),
        ('path,label\n"a.png,cat\n', "is not a table at line 2"),
        (f"path,label\n{'x' * 200_000},cat\n", "is not a table at line 2"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(table, content, reason):
    table.write_text(content)
    assert reason.format(table=table) in refusal(table)


def test_a_table_in_another_encoding_that_is_missing_or_no_file_is_refused(table):
    assert "No such file or directory" in refusal(table)
    table.write_bytes("path,label\nä.png,cat\n".encode("latin-1"))
    assert "is not UTF-8 text: save it as UTF-8" in refusal(table)
    table.unlink()
    os.mkfifo(table)
    assert "is not a regular file" in refusal(table)


def test_a_null_character_in_the_name_of_the_table_is_no_path(tmp_path):
    with pytest.raises(DataUnavailableError, match="not a path"):
        load(tmp_path / "a\0.csv")


def test_a_null_character_in_a_path_is_a_file_that_is_left_out(table):
    assert skipped(load(write(table, [*ROWS, ("a\0.png", "cat")]))) == ["a\0.png: not a path"]


def test_a_stop_ends_it(table):
    with pytest.raises(CancelledError):
        load(write(table), cancelled=lambda: True)
