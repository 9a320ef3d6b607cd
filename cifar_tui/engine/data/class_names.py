"""Match the classes of weights with those of a dataset, or of two runs, by name. Imports no torch."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import cut

if TYPE_CHECKING:
    from cifar_tui.engine.data.dataset import Dataset, ImageSplit

_ALIASES = {"airplane": "plane", "automobile": "car"}
"""The names in the official files of CIFAR-10, and those in the tutorial."""

_SHOWN = 3
_SHOWN_LENGTH = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAlignment:
    """Which of the weights' classes each class of a dataset is.

    Attributes:
        names: the weights' classes, in the order of their logits.
        positions: for each class of the dataset, its index in `names`.
        renamed: the classes with two names: that of the dataset, and that of the weights.
        absent: the weights' classes that the dataset does not have.
    """

    names: tuple[str, ...]
    positions: tuple[int, ...]
    renamed: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()

    def apply(self, dataset: "Dataset") -> "Dataset":
        """Return `dataset` with the weights' classes, in their order and by their names."""
        import torch

        positions = torch.tensor(self.positions)

        def renumbered(split: "ImageSplit") -> "ImageSplit":
            return replace(split, targets=positions[split.targets])

        return replace(
            dataset,
            class_names=self.names,
            train=renumbered(dataset.train),
            test=renumbered(dataset.test),
            validation=None if dataset.validation is None else renumbered(dataset.validation),
        )


def align_classes(
    weights: Sequence[str], dataset: Sequence[str], *, assume_order: bool = False
) -> ClassAlignment | None:
    """Match the class names of `weights` and `dataset`; None if `dataset` has one that `weights` lack.

    Names are compared in NFC. Two names of a class of CIFAR-10 are the same class. With `assume_order`, the
    names that differ are those of the same classes, in the same order, if there are as many.
    """
    found = match_classes(weights, dataset)
    if assume_order and len(dataset) == len(weights):
        left = (index for index in range(len(weights)) if index not in found)
        found = [next(left) if index is None else index for index in found]
    positions = tuple(index for index in found if index is not None)
    if len(positions) < len(dataset):
        return None
    pairs = [(name, weights[position]) for name, position in zip(dataset, positions, strict=True)]
    return ClassAlignment(
        names=tuple(weights),
        positions=positions,
        renamed=tuple((ours, theirs) for ours, theirs in pairs if _nfc(ours) != _nfc(theirs)),
        absent=tuple(name for index, name in enumerate(weights) if index not in positions),
    )


def match_classes(weights: Sequence[str], dataset: Sequence[str]) -> list[int | None]:
    """Return the index of each name of `dataset` among those of `weights`; None where there is no own one.

    Names are compared as `align_classes` does.
    """
    exact = {_nfc(name): index for index, name in enumerate(weights)}
    if len(exact) < len(weights):  # two that print alike
        return [None] * len(dataset)
    free = exact.keys() - {_nfc(name) for name in dataset}
    aliases = {_canonical(name): exact[name] for name in free}
    found: list[int | None] = []
    for name in dataset:
        index = exact.get(_nfc(name), aliases.get(_canonical(name)))
        found.append(None if index in found else index)
    return found


def match_dataset(
    dataset: "Dataset", names: Sequence[str], *, owner: str, complete: bool, assume_order: bool
) -> "tuple[Dataset, list[str]]":
    """Give `dataset` the classes `names` of weights.

    Args:
        dataset: the images.
        names: the weights' classes, in the order of their logits.
        owner: of the names, as the subject of a sentence.
        complete: whether the dataset must have all classes of the weights.
        assume_order: see `align_classes`.

    Returns:
        The dataset, and a sentence on each thing that was not the same.

    Raises:
        ConfigError: the classes differ; the message has both lists, cut short.
    """
    ours = dataset.class_names
    if ours == tuple(names):
        return dataset, []
    alignment = align_classes(names, ours)
    notes = []
    said = "two names for a class"
    if alignment is None:
        alignment = align_classes(names, ours, assume_order=assume_order)
        said = "assuming that classes with other names have the same order"
    if alignment is None or (complete and alignment.absent):
        raise ConfigError(_refusal(names, dataset, owner, complete=complete))
    if alignment.renamed:
        pairs = [f"{own} is {theirs}" for own, theirs in alignment.renamed]
        notes.append(f"{said}: {listed(pairs)} in {owner}")
    if alignment.absent:
        lacking = f"lacks {len(alignment.absent)} of the {len(names)} classes of {owner}"
        notes.append(f"{dataset.title} {lacking} ({listed(alignment.absent)}), which can still be predicted")
    return alignment.apply(dataset), notes


def class_names_in(value: object) -> tuple[str, ...] | None:
    """Return `value` if it is a sequence of different names; None otherwise."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        return None
    return tuple(value) if value and len(set(value)) == len(value) else None


def saved_class_names(content: object) -> tuple[str, ...] | None:
    """Return the class names beside weights, as a run or other programs save them; None without any."""
    if not isinstance(content, Mapping):
        return None
    for key in ("class_names", "classes"):
        names = class_names_in(content.get(key))
        if names is not None:
            return names
    indices = content.get("class_to_idx")  # as of torchvision's ImageFolder
    if not isinstance(indices, Mapping) or not all(isinstance(index, int) for index in indices.values()):
        return None
    by_index = sorted(indices, key=lambda name: indices[name])
    counted = [indices[name] for name in by_index] == list(range(len(by_index)))
    return class_names_in(by_index) if counted else None


def listed(names: Sequence[str]) -> str:
    """Return the first few `names`, each cut short, and how many there are if those are not all."""
    shown = [cut(name, _SHOWN_LENGTH) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > _SHOWN else "")


def _refusal(names: Sequence[str], dataset: "Dataset", owner: str, *, complete: bool) -> str:
    ours, title = dataset.class_names, dataset.title
    only_theirs, only_ours = _not_in(names, ours), _not_in(ours, names)
    lists = [(owner, only_theirs), (title, only_ours)]
    differences = "; ".join(f"only {who} has {listed(only)}" for who, only in lists if only)
    if not differences:
        differences = f"{owner} has {listed(names)}; {title} has {listed(ours)}"
    folded = {_nfc(name).casefold(): name for name in only_theirs}
    cases = [(folded[key], name) for name in only_ours if (key := _nfc(name).casefold()) in folded]
    hint = "use --data with the dataset of the weights"
    if cases:
        hint = f"rename {cases[0][1]!r} to {cases[0][0]!r}, from which it differs in case only"
    if len(ours) == len(names):
        command = "train --resume" if complete else "eval"
        hint += f"; if they are the same classes, add --assume-class-order to 'cifar-tui {command}'"
    return f"the classes differ: {differences}; {hint}"


def _not_in(names: Sequence[str], others: Sequence[str]) -> list[str]:
    known = {_canonical(name) for name in others}
    return [name for name in names if _canonical(name) not in known]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _canonical(name: str) -> str:
    name = _nfc(name)
    return _ALIASES.get(name, name)
