"""Load a `.csv` that lists image files with their labels, and their splits if it has any."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.cache import cache_path
from cifar_tui.engine.data.convert import SIDE
from cifar_tui.engine.data.dataset import Dataset
from cifar_tui.engine.data.entries import canonical, shown
from cifar_tui.engine.data.folder import Listing, load_listed
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.data.scales import Scales
from cifar_tui.engine.data.scan import find_listed
from cifar_tui.engine.data.splits import SPLIT_NAMES, TEST, TRAIN, UNSPLIT, VALIDATION, Layout
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.text import cut

_PATH, _LABEL, _SPLIT = "path", "label", "split"
_DELIMITERS = ",;\t"  # the second is what Excel writes where the comma is a decimal point
_LONGEST = 40
_MOST_DIGITS = 18  # of a label that is a number
_NAMED_COLUMNS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row of the table; `split` is TRAIN, VALIDATION or TEST, or UNSPLIT without such a column."""

    line: int
    path: str
    label: str
    split: str


def load_csv(
    path: Path,
    *,
    data_dir: Path,
    seed: int,
    progress: Progress,
    scales: Scales | None = None,
    image_size: int = SIDE,
) -> Dataset:
    """Load the images that the table at `path` lists: decode them, or take them from the cache in `data_dir`.

    Its first line names the columns `path` (relative to the folder of the table), `label` and, if the images
    are split, `split` with train, val and test, or another name that a folder may have. Splits are used as
    those of a folder are: see `load_folder`.

    Raises:
        DataUnavailableError: the table cannot be read, has a row without one of them or with more cells than
            columns, a path with two labels or in two splits, or a class or a split without images.
        CancelledError: the user requested a stop.
    """
    progress.begin(f"reading {path.name}", "files")
    where = f"the file '{shown(path)}'"
    rows, notes = _read_rows(path, where)
    rows, repeated = _without_repeated(rows, where)
    notes += repeated
    splits, validation_is_test = _splits_of(rows, where)
    names = _class_names(rows, where)
    layout = Layout(
        splits=splits,
        classes={},
        class_names=names,
        validation_is_test=validation_is_test,
        notes=tuple(notes),
        warnings=(),
    )
    return load_listed(
        path.parent,
        find_listed(path.parent, [(row.path, row.label, row.split) for row in rows], layout, progress),
        Listing(
            title=f"file {path}",
            where=where,
            mark="",
            no_images="lists no images that can be read{first}: paths are relative to its own folder",
            no_class="list images of it or remove its rows",
            no_split="add rows with split {split}",
        ),
        cache_path(path, data_dir, image_size),
        seed=seed,
        progress=progress,
        scales=scales,
        image_size=image_size,
    )


def _read_rows(path: Path, where: str) -> tuple[list[_Row], list[str]]:
    """The rows of the table, and what was left out of it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            columns = [name.strip().casefold() for name in next(reader, [])]
            if _PATH not in columns or _LABEL not in columns:
                held = f"'{cut(first.strip(), _LONGEST)}'" if first.strip() else "empty"
                raise DataUnavailableError(
                    f"the first line of {where} is {held}: it must name the columns path,label or "
                    "path,label,split"
                )
            for name in (_PATH, _LABEL, _SPLIT):
                if columns.count(name) > 1:
                    raise DataUnavailableError(
                        f"the first line of {where} names the column {name} twice: rename one of them"
                    )
            rows = list(_rows(reader, columns, where))
    except OSError as error:
        raise DataUnavailableError(
            f"cannot read {where} ({error.strerror}): give the path of a file that can be read"
        ) from None
    except UnicodeError:
        raise DataUnavailableError(f"{where} is not UTF-8 text: save it as UTF-8") from None
    except csv.Error as error:
        raise DataUnavailableError(
            f"{where} is not a table at line {reader.line_num} ({error}): correct it"
        ) from None
    if not rows:
        raise DataUnavailableError(f"{where} lists no images: add a row for each")
    others = [name for name in columns if name not in {_PATH, _LABEL, _SPLIT}]
    more = ", …" if len(others) > _NAMED_COLUMNS else ""
    shown_names = ", ".join(f"'{cut(name, _LONGEST)}'" for name in others[:_NAMED_COLUMNS])
    return rows, [f"columns not used: {shown_names}{more}"] if others else []


def _rows(reader: "Iterator[list[str]]", columns: Sequence[str], where: str) -> Iterator[_Row]:
    """Yield the rows but for blank ones."""
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num  # type: ignore[attr-defined]  # of csv's reader
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise DataUnavailableError(
                f"line {line} of {where} has {len(cells)} cells, but there are {len(columns)} columns: "
                'put a cell with a separator in it in quotes, as in "a,b"'
            )
        values = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        for name in (_PATH, _LABEL, *([_SPLIT] if _SPLIT in columns else [])):
            if not values.get(name):
                raise DataUnavailableError(
                    f"line {line} of {where} has no {name}: add it, or remove the line"
                )
        split = UNSPLIT
        if _SPLIT in columns:
            name = values[_SPLIT]
            if name.casefold() not in SPLIT_NAMES:
                raise DataUnavailableError(
                    f"line {line} of {where} has the split '{cut(name, _LONGEST)}': it must be train, val or "
                    "test"
                )
            split = SPLIT_NAMES[name.casefold()]
        yield _Row(line=line, path=values[_PATH], label=canonical(values[_LABEL]), split=split)


def _without_repeated(rows: Sequence[_Row], where: str) -> tuple[list[_Row], list[str]]:
    """The rows without those that list a file again, and a note on these.

    Raises:
        DataUnavailableError: a file has two labels, or is in two splits.
    """
    first: dict[str, _Row] = {}
    for row in rows:
        other = first.setdefault(os.path.normpath(row.path), row)
        for what, one, two in (("label", other.label, row.label), ("split", other.split, row.split)):
            if one != two:
                raise DataUnavailableError(
                    f"{where} has '{shown(row.path)}' with two {what}s, '{cut(one, _LONGEST)}' in line "
                    f"{other.line} and '{cut(two, _LONGEST)}' in line {row.line}: keep one of them"
                )
    repeated = len(rows) - len(first)
    rows_that_list = "1 row that lists" if repeated == 1 else f"{repeated:,} rows that list"
    return list(first.values()), [f"left out: {rows_that_list} a file again"] if repeated else []


def _splits_of(rows: Sequence[_Row], where: str) -> tuple[dict[str, str], bool]:
    """The name of each split as it is used, and whether the validation split is used as test."""
    names = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
    used = {split: names[split] for split in names if any(row.split == split for row in rows)}
    if len(used) <= 1:
        return {UNSPLIT: next(iter(used.values()), "")}, False
    if TRAIN not in used:
        raise DataUnavailableError(f"{where} has no rows with split train: add them")
    if TEST in used:
        return used, False
    return {TRAIN: used[TRAIN], TEST: used[VALIDATION]}, True


def _class_names(rows: Sequence[_Row], where: str) -> tuple[str, ...]:
    """The labels, sorted; by their value if all of them are whole numbers."""
    labels = {row.label for row in rows}
    numbers = all(label.isdecimal() and len(label) <= _MOST_DIGITS for label in labels)
    names = tuple(sorted(labels, key=(lambda label: (int(label), label)) if numbers else None))
    if len(names) < 2:
        raise DataUnavailableError(
            f"{where} has only one label ({cut(names[0], _LONGEST)}): add a second class"
        )
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            raise DataUnavailableError(
                f"the labels '{cut(other, _LONGEST)}' and '{cut(name, _LONGEST)}' in {where} differ in case "
                "only: rename one to merge them, or to tell them apart"
            )
    return names
