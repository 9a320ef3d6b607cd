"""How a setting describes and checks itself. Imports no torch."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any

Check = Callable[[Any], str | None]
"""Return the error message for a value; None if it is valid."""


def setting(
    default: Any,  # noqa: ANN401 - a default of the field's type
    description: str,
    check: Check,
    *,
    choices: Iterable[str] = (),
    suggestions: Iterable[str] = (),
    in_step: bool = True,
    in_recipe: bool = True,
    resumable: bool = False,
) -> Any:  # noqa: ANN401 - see above
    """A dataclass field that describes and checks itself.

    Args:
        default: the tutorial's value, a no-op.
        description: for the form, which shows it while the field has the focus.
        check: of a value.
        choices: the values, where there are few.
        suggestions: values that the form suggests.
        in_step: whether it changes the arithmetic of a step, so that a step backend has to support it.
        in_recipe: whether choosing a preset sets it.
        resumable: whether a resumed run may have another value.
    """
    metadata = {
        "description": description,
        "check": check,
        "choices": tuple(choices),
        "suggestions": tuple(suggestions),
        "in_step": in_step,
        "in_recipe": in_recipe,
        "resumable": resumable,
    }
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str, description: str, choices: Iterable[str], **marks: Any) -> Any:  # noqa: ANN401 - see above
    """A setting with one of a few values."""
    names = tuple(choices)
    return setting(default, description, one_of(*names), choices=names, **marks)


def switch(default: bool, description: str, **marks: Any) -> Any:  # noqa: ANN401 - see above
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


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error about `name`: the nearest of the `known` names, if one is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
