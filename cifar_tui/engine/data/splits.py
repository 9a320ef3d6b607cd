"""Tell the splits and the classes of an image folder from the names of its folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.data.entries import Entry, canonical, list_folder, shown
from cifar_tui.engine.errors import DataUnavailableError

EXPECTED_LAYOUT = (
    "it must contain one folder of images per class (two or more), directly or in train/ and test/"
)

TRAIN, VALIDATION, TEST, UNSPLIT = "train", "validation", "test", ""
"""What the images of a folder are for; UNSPLIT: the program splits them."""

# In any case. "valid" and "train" may be classes too (valid and invalid, train and bus): see `_is_split`.
SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""The splits by the names that they have in folders and tables, in lower case."""

_NAMED_FOLDERS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The splits and classes of an image folder.

    Attributes:
        splits: the folder of each split, relative to the image folder, in the order train, validation, test;
            {UNSPLIT: ""} or {UNSPLIT: "test"} if the folder has no split or only one.
        classes: by split, the class folders relative to the image folder by class name.
        class_names: the names of all class folders in NFC, sorted.
        validation_is_test: whether the test split is the folder's validation split, as it has no other.
        notes: what was assumed.
        warnings: what was left out.
    """

    splits: Mapping[str, str]
    classes: Mapping[str, Mapping[str, tuple[Path, ...]]]
    class_names: tuple[str, ...]
    validation_is_test: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def find_layout(root: Path) -> Layout:
    """Tell the splits and classes of the image folder `root`.

    Raises:
        DataUnavailableError: the folder is missing or unreadable, has fewer than two classes, a split without
            class folders or twice, or classes whose names differ in case only.
    """
    folders, loose = list_folder(root)
    named = {name: SPLIT_NAMES[name.casefold()] for name in folders if name.casefold() in SPLIT_NAMES}
    inside = {name: list_folder(root / name) for name in named}
    warnings = []
    if _is_split(named, {name for name, (classes, _) in inside.items() if classes}, folders):
        split_of = _one_folder_each(root, named)
        for name in split_of.values():
            classes, files = inside[name]
            if classes and files:
                warnings.append(_left_out(f"{name}/", len(files)))
        if beside := [f"{shown(name)}/" for name in folders if name not in named]:
            more = ", …" if len(beside) > _NAMED_FOLDERS else ""
            others = ", ".join(beside[:_NAMED_FOLDERS])
            warnings.append(f"left out beside {' and '.join(f'{n}/' for n in named)}: {others}{more}")
        class_folders = {name: inside[name][0] for name in split_of.values()}
        _check_flat(root, {name: inside[name] for name in split_of.values()})
    else:
        split_of, class_folders = {UNSPLIT: ""}, {"": folders}
        for name, (classes, _) in inside.items():
            why = "is beside folders that are no splits" if classes else "has no class folders"
            warnings.append(f"'{name}/' {why}: taken for a class")
        if folders and loose:
            warnings.append(_left_out("the folder itself", len(loose)))
    splits, validation_is_test = _roles(root, split_of)
    classes_of, notes = _classes(splits, class_folders)
    names = sorted({name for classes in classes_of.values() for name in classes})
    _check_names(root, names, classes_of, class_folders)
    return Layout(
        splits=splits,
        classes=classes_of,
        class_names=tuple(names),
        validation_is_test=validation_is_test,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _is_split(named: Mapping[str, str], with_classes: set[str], folders: list[str]) -> bool:
    """Whether the folders `named` like splits are splits.

    A "train" without subfolders, beside other folders, is a class (of vehicles); "valid" beside "invalid" is
    one even with subfolders.
    """
    if named and len(named) == len(folders):
        return True
    return any(named[name] != VALIDATION for name in with_classes)


def _one_folder_each(root: Path, named: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each split, in the order train, validation, test."""
    folder_of: dict[str, str] = {}
    for split in (TRAIN, VALIDATION, TEST):
        names = [name for name, its_split in named.items() if its_split == split]
        if len(names) > 1:
            both = " and ".join(f"'{name}/'" for name in names)
            raise DataUnavailableError(
                f"the folder '{shown(root)}' has {both}, which mean the same split: keep one of them"
            )
        if names:
            folder_of[split] = names[0]
    return folder_of


def _check_flat(root: Path, inside: Mapping[str, tuple[list[str], list[Entry]]]) -> None:
    """Refuse a split without class folders beside one with them."""
    if not any(classes for classes, _ in inside.values()):
        return  # refused as a folder without classes
    for name, (classes, files) in inside.items():
        if classes:
            continue
        held = f"{_files(len(files))} but no class folders" if files else "no class folders"
        raise DataUnavailableError(
            f"'{shown(root / name)}/' has {held}: put its images into {name}/CLASS/, "
            "or move it elsewhere to train without it"
        )


def _roles(root: Path, folder_of: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Return the folder of each split as it is used, and whether the validation split is used as test."""
    if UNSPLIT in folder_of or len(folder_of) == 1:
        return {UNSPLIT: next(iter(folder_of.values()))}, False
    if TRAIN not in folder_of:
        held = " and ".join(f"{name}/" for name in folder_of.values())
        raise DataUnavailableError(f"the folder '{shown(root)}' has {held} but no train/: add train/CLASS/")
    if TEST in folder_of:
        return dict(folder_of), False
    return {TRAIN: folder_of[TRAIN], TEST: folder_of[VALIDATION]}, True


def _classes(
    splits: Mapping[str, str], class_folders: Mapping[str, list[str]]
) -> tuple[dict[str, dict[str, tuple[Path, ...]]], list[str]]:
    """Return the class folders by split and class name, and what was merged."""
    classes_of: dict[str, dict[str, tuple[Path, ...]]] = {}
    notes = []
    for split, folder in splits.items():
        classes: dict[str, tuple[Path, ...]] = {}
        for name in class_folders[folder]:
            key = canonical(name)
            if key in classes:
                place = f" in {folder}/" if folder else ""
                notes.append(
                    f"class '{key}' has two folders{place}, whose names differ in their Unicode "
                    "form only: read as one"
                )
            classes[key] = (*classes.get(key, ()), Path(folder, name))
        classes_of[split] = classes
    return classes_of, notes


def _check_names(
    root: Path,
    names: list[str],
    classes_of: Mapping[str, Mapping[str, tuple[Path, ...]]],
    class_folders: Mapping[str, list[str]],
) -> None:
    """Refuse fewer than two classes, and two that differ in case only."""
    if len(names) < 2:
        held = f"only one class folder ({names[0]})" if names else "no class folder"
        nested = _nested(root, [Path(part, name) for part, names in class_folders.items() for name in names])
        raise DataUnavailableError(f"the folder '{shown(root)}' has {held}: {nested or EXPECTED_LAYOUT}")
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(canonical(name.casefold()), name)
        if other != name:
            one, two = (_where(class_name, classes_of) for class_name in (other, name))
            raise DataUnavailableError(
                f"the class folders '{one}' and '{two}' in '{shown(root)}' differ in case only: "
                "rename one to merge them, or to tell them apart"
            )


def _nested(root: Path, class_folders: list[Path]) -> str:
    """Return what to do if the only class folder looks like the dataset itself, as archives unpack it."""
    if len(class_folders) == 1 and len(list_folder(root / class_folders[0])[0]) > 1:
        return f"did you mean '{shown(root / class_folders[0])}'?"
    return ""


def _where(name: str, classes_of: Mapping[str, Mapping[str, tuple[Path, ...]]]) -> str:
    folders = next(classes[name] for classes in classes_of.values() if name in classes)
    return shown(folders[0])


def _left_out(where: str, count: int) -> str:
    return f"left out {_files(count)} in {where} that {'is' if count == 1 else 'are'} in no class folder"


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
