"""How a setting describes and checks itself. Imports no torch."""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

Value = TypeVar("Value")

Check = Callable[[Any], str | None]
"""Return the error message for a value; None if it is valid."""


_TYPES: dict[Any, tuple[type, ...]] = {float | None: (float, type(None))}
TYPE_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    float | None: "a number",
    str: "text",
    bool: "true or false",
}
"""What a value of each type must be, for an error."""


class Group(StrEnum):
    """The groups of the form, in its order."""

    ESSENTIALS = "Essentials"
    IMAGES = "Images"
    WEIGHTS = "Weights"
    OPTIMIZER = "Optimizer"
    SCHEDULE = "Schedule"
    AUGMENTATION = "Augmentation"
    EVALUATION = "Evaluation"
    SAVING = "Saving"
    MACHINE = "Machine"


def _always(values: Mapping[str, Any]) -> bool:
    del values
    return True


def setting(
    default: Value,
    description: str,
    check: Check,
    *,
    group: Group,
    choices: Iterable[str] = (),
    explained: Mapping[str, str] | None = None,
    others: Mapping[str, str] | None = None,
    suggestions: Iterable[str] = (),
    words: Mapping[str, Any] | None = None,
    used_if: Callable[[Mapping[str, Any]], bool] = _always,
    folder: bool = False,
    in_step: bool = True,
    in_recipe: bool = True,
    resumable: bool = False,
    later: bool = False,
) -> Value:
    """A dataclass field that describes and checks itself; for a type checker its default, as that of `field`.

    Args:
        default: the tutorial's value, a no-op.
        description: for the form, which shows it while the field has the cursor.
        check: of a value.
        group: where the form shows it.
        choices: the values, where there are few.
        explained: what a choice is, in one line.
        others: what values that are none of the `choices` look like, and what they are, in one line.
        suggestions: values that the form suggests.
        words: what a user reads and writes for values that need a word, such as "auto" for 0.
        used_if: whether it has an effect, given all values by name; the form hides it otherwise.
        folder: whether a value that is not suggested is an existing folder.
        in_step: whether it changes the arithmetic of a step, so that a step backend has to support it.
        in_recipe: whether choosing a preset sets it.
        resumable: whether a resumed run may have another value.
        later: whether checkpoints of earlier versions lack it: they were trained with the default.
    """
    metadata = {
        "description": description,
        "check": check,
        "group": group,
        "choices": {name: (explained or {}).get(name, "") for name in choices},
        "others": dict(others or {}),
        "suggestions": tuple(suggestions),
        "words": words or {},
        "used_if": used_if,
        "folder": folder,
        "in_step": in_step,
        "in_recipe": in_recipe,
        "resumable": resumable,
        "later": later,
    }
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str, description: str, choices: Collection[str], **marks: Any) -> str:
    """A setting with one of a few values."""
    return setting(default, description, one_of(*choices), choices=choices, **marks)


def switch(default: bool, description: str, **marks: Any) -> bool:
    """A setting that is on or off."""
    return setting(default, description, _any, choices=("yes", "no"), **marks)


def _any(value: object) -> None:
    del value


def whole(low: int, high: int) -> Check:
    """Whole numbers from `low` to `high`."""

    def check(value: int) -> str | None:
        return None if low <= value <= high else f"must be a whole number from {low} to {high}"

    return check


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Check:
    """Finite numbers from `low` to `high`; `above` and `below` leave out the ends."""
    if above or below:
        start = f"above {low:g}" if above else f"at least {low:g}"
        end = f"below {high:g}" if below else f"at most {high:g}"
        expected = f"{start} and {end}"
    else:
        expected = f"from {low:g} to {high:g}"

    def check(value: float | None) -> str | None:
        if value is None:
            return None
        too_low = value <= low if above else value < low
        too_high = value >= high if below else value > high
        wrong = not math.isfinite(value) or too_low or too_high
        return f"must be {expected}" if wrong else None

    return check


def one_of(*names: str) -> Check:
    """One of `names`."""

    def check(value: str) -> str | None:
        return None if value in names else f"must be one of {', '.join(names)}{suggestion(value, names)}"

    return check


def device_name(value: str) -> str | None:
    """The name of a device."""
    right = re.fullmatch(r"auto|cpu|mps|cuda(:(0|[1-9][0-9]{0,2}))?", value)
    return None if right else "must be auto, cpu, cuda, cuda:N or mps, with an N such as 0 or 1"


def not_empty(value: str) -> str | None:
    """Any text but blanks."""
    return None if value.strip() else "must not be empty"


def path_or_empty(value: str) -> str | None:
    """A path, or nothing."""
    return None if value == value.strip() and value.isprintable() else "must be the path of a file"


def type_error(field: "dataclasses.Field[Any]", value: object) -> str | None:
    """The error message for a value of another type than that of `field`; None for one of its type."""
    expected = _TYPES.get(field.type, (field.type,))
    return None if type(value) in expected else f"must be {TYPE_NAMES[field.type]}"


def widened(field: "dataclasses.Field[Any]", value: Any) -> Any:  # noqa: ANN401 - each setting has its own type
    """A whole number as a float, an empty string as None, where one is wanted; the rest is checked later."""
    if field.type == float | None and value == "":
        return None
    if field.type in {float, float | None} and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error about `name`: the nearest of the `known` names, if one is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
