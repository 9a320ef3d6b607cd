"""Say what was found in an image folder, what was assumed, left out, resized and converted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cifar_tui.engine.data.cache import DecodedFolder
from cifar_tui.engine.data.convert import Conversion
from cifar_tui.engine.data.decode import INSTALL, UnreadableImageError
from cifar_tui.engine.data.scan import FoundFile, FoundFolder
from cifar_tui.engine.data.splits import TEST, TRAIN, UNSPLIT, VALIDATION

_NAMED_CLASSES = 10
_NAMED_FOLDERS = 5
_NAMED_FILES = 20
_CONVERTED = {
    Conversion.GREY: "grey",
    Conversion.PALETTE: "palette",
    Conversion.CMYK: "CMYK",
    Conversion.OTHER_MODE: "other modes",
}
_CHANGED = {
    Conversion.ON_WHITE: "transparent, put on white",
    Conversion.TURNED: "turned as their EXIF orientation says",
    Conversion.HIGH_BYTES: "of 16 bits, of which the upper 8 are taken",
    Conversion.FIRST_FRAME: "animations or several pages, of which the first is taken",
}
_FEW_PIXELS = 8

_Scale = tuple[int, float, float]


def summary_line(
    found: FoundFolder, decoded: DecodedFolder, *, test_images: int, skipped: int, mark: str = "/"
) -> str:
    """Describe the images by split, the files skipped and the resizing, in one line.

    Args:
        found: the folder.
        decoded: its images.
        test_images: how many of them are test images.
        skipped: how many files are not images or could not be read.
        mark: what follows the name of a split.
    """
    layout = found.layout
    counts = Counter(found.files[index].split for index in decoded.files)
    parts: list[str] = []
    for split, folder in layout.splits.items():
        text = f"{folder}{mark} {counts[split]:,}" if folder else f"{counts[split]:,}"
        if not parts:
            classes = {
                found.files[index].target for index in decoded.files if found.files[index].split == split
            }
            of_classes = f"{len(classes):,} {'class' if len(classes) == 1 else 'classes'}"
            text += f" {'image' if counts[split] == 1 else 'images'} of {of_classes}"
        if split == VALIDATION:
            text += " (for validation)"
        elif split == TEST and layout.validation_is_test:
            text += " (used as test)"
        elif split == UNSPLIT:
            text += f" ({test_images:,} of them, chosen by the seed, used as test)"
        parts.append(text)
    if skipped:
        parts.append(f"{skipped:,} {'file' if skipped == 1 else 'files'} skipped")
    if resized := resizing(decoded.sizes, decoded.images.shape[-1]):
        parts.append(resized)
    return ", ".join(parts)


def resizing(sizes: npt.NDArray[np.int32], image_size: int) -> str:
    """Say which of the images of `sizes` were resized, and cropped; "" for none.

    Args:
        sizes: shape (N, 2), width and height in the files.
        image_size: height and width that they have now.
    """
    other = sizes[(sizes != image_size).any(axis=1)]
    if not len(other):
        return ""
    smallest, largest = (
        other[choose(other.prod(axis=1, dtype=np.int64))] for choose in (np.argmin, np.argmax)
    )
    first, last = (f"{width}×{height}" for width, height in (smallest, largest))
    alike = bool((other == other[0]).all())
    counted = "" if len(other) == len(sizes) else f"{len(other):,} "
    line = f"{counted}resized {first if alike else f'{first} to {last}'} → {image_size}×{image_size}"
    oblong = int((other[:, 0] != other[:, 1]).sum())
    if oblong:
        line += f" (the centre square of {'all' if oblong == len(sizes) else f'{oblong:,}'})"
    return line


def conversion_notes(sizes: npt.NDArray[np.int32], conversions: npt.NDArray[np.uint8]) -> list[str]:
    """Say what was converted, one sentence for each kind, with counts.

    Args:
        sizes: shape (N, 2), width and height in the files.
        conversions: shape (N,), a `Conversion` each.
    """
    flags = conversions[conversions != 0]

    def counted(names: Mapping[Conversion, str]) -> list[str]:
        counts = {name: int(((flags & kind.value) != 0).sum()) for kind, name in names.items()}
        return [f"{count:,} {name}" for name, count in counts.items() if count]

    notes = []
    if converted := counted(_CONVERTED):
        notes.append(f"converted to RGB: {', '.join(converted)}")
    if changed := counted(_CHANGED):
        notes.append(f"images changed: {', '.join(changed)}")
    tiny = int((sizes < _FEW_PIXELS).any(axis=1).sum())
    if tiny:
        notes.append(f"{tiny:,} with a side of fewer than {_FEW_PIXELS} pixels, enlarged all the same")
    return notes


def scale_notes(scales: Mapping[str, _Scale], own: Mapping[str, _Scale]) -> list[str]:
    """Say what is black and white in images of more than 8 bits, if that is what fits the folder.

    Args:
        scales: by kind of images, how many there are, and what is black and white.
        own: the same with the scales that fit the folder.
    """
    return [scale_sentence(kind, scale) for kind, scale in scales.items() if _is_own(kind, scale, own)]


def scale_warnings(scales: Mapping[str, _Scale], own: Mapping[str, _Scale]) -> list[str]:
    """Say what is black and white in images of more than 8 bits, where the run has another scale."""
    warnings = []
    for kind, scale in scales.items():
        if not _is_own(kind, scale, own):
            _, black, white = own[kind]
            alone = f"this folder alone: {black:,.10g} and {white:,.10g}"
            warnings.append(f"{scale_sentence(kind, scale)}, as in training ({alone})")
    return warnings


def _is_own(kind: str, scale: _Scale, own: Mapping[str, _Scale]) -> bool:
    return kind not in own or own[kind][1:] == scale[1:]


def scale_sentence(kind: str, scale: _Scale) -> str:
    """Say how many images of a kind there are, and what is black and white in them."""
    count, black, white = scale
    counted = f"{count:,} {'image' if count == 1 else 'images'} with {kind}"
    return f"{counted}: {black:,.10g} is black and {white:,.10g} is white in all of them"


def class_warnings(
    names: Sequence[str], counts: Mapping[str, Sequence[int]], *, folders: Mapping[str, str], mark: str = "/"
) -> list[str]:
    """Name the classes that a split lacks.

    Args:
        names: of the classes.
        counts: the number of images of each class, by split.
        folders: the folder of each split; "" for a split that the program made.
        mark: what follows the name of a split.
    """
    warnings = []
    for split, images in counts.items():
        absent = [index for index, count in enumerate(images) if count == 0]
        if not absent:
            continue
        listed = ", ".join(f"'{names[index]}'" for index in absent[:_NAMED_CLASSES])
        if len(absent) > _NAMED_CLASSES:
            listed += ", …"
        one = len(absent) == 1
        where = f" ({folders[split]}{mark})" if folders.get(split) else ""
        who = f"{'class' if one else f'{len(absent):,} classes'} {listed}"
        if split == TRAIN:
            tested = sum(counts[TEST][index] for index in absent)
            what = f"no training images{where}: {'it' if one else 'they'} cannot be learnt"
            if tested:
                what += f", and {'its' if one else 'their'} {tested:,} test images count as wrong"
        elif split == TEST:
            what = f"no test images{where}: {'its' if one else 'their'} accuracy is not measured"
        else:
            what = f"no validation images{where}"
        warnings.append(f"{who} {'has' if one else 'have'} {what}")
    return warnings


def skipped_warnings(skipped: Sequence[str]) -> list[str]:
    """Count and name the files that are not used, given as "path: reason"."""
    if not skipped:
        return []
    named = "; ".join(skipped[:_NAMED_FILES]) + ("; …" if len(skipped) > _NAMED_FILES else "")
    files = "file" if len(skipped) == 1 else "files"
    return [f"skipped {len(skipped):,} {files} that could not be read as images: {named}"]


def group_warnings(files: Iterable[FoundFile], class_names: Sequence[str]) -> list[str]:
    """Name the classes whose images all lie in several folders inside the class folder.

    The inner folders may be the classes that are meant, with class folders that only group them.

    Args:
        files: the images.
        class_names: by class index.
    """
    inside: dict[tuple[int, str], set[str]] = {}
    for target, split, folder in {
        (file.target, file.split, file.inner.partition("/")[0] if "/" in file.inner else "") for file in files
    }:
        inside.setdefault((target, split), set()).add(folder)
    groups: dict[int, set[str]] = {}
    for (target, _), folders in inside.items():
        if len(folders) > 1 and "" not in folders:
            groups.setdefault(target, set()).update(folders)
    if not groups:
        return []
    listed = []
    for target, folders in sorted(groups.items())[:_NAMED_CLASSES]:
        more = ", …" if len(folders) > _NAMED_FOLDERS else ""
        listed.append(f"{class_names[target]} ({', '.join(sorted(folders)[:_NAMED_FOLDERS])}{more})")
    one = len(groups) == 1
    subject = "1 class has its" if one else f"{len(groups):,} classes have their"
    names = ", ".join(listed) + (", …" if len(groups) > _NAMED_CLASSES else "")
    read_as = "one class" if one else "one class each"
    what = f"{subject} images in folders inside the class folder, read as {read_as}: {names}"
    return [f"{what}; if those are the classes, move them up one folder"]


def missing_reader_warnings(found: FoundFolder, errors: Mapping[int, UnreadableImageError]) -> list[str]:
    """Count the images of each format that needs a reader to be installed, by class."""
    warnings = []
    for name in INSTALL:
        targets = Counter(
            found.files[index].target for index, error in errors.items() if error.missing == name
        )
        if targets:
            classes = [
                f"{found.layout.class_names[target]} {count:,}" for target, count in sorted(targets.items())
            ]
            listed = ", ".join(classes[:_NAMED_CLASSES]) + (", …" if len(classes) > _NAMED_CLASSES else "")
            total = targets.total()
            counted = f"{total:,} {name} {'image' if total == 1 else 'images'}"
            warnings.append(f"left out {counted} ({listed}); to read them: {INSTALL[name]}")
    return warnings
