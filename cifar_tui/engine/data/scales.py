"""What is black and white in images of more than 8 bits: the same in all of a folder, and of a run."""

import math
from collections.abc import Mapping

Scales = Mapping[str, tuple[float, float]]
"""The values that are black and white in the images of each kind."""

DEEP, FLOATING = "more than 8 bits", "floating-point values"


def scales_in(value: object) -> dict[str, tuple[float, float]] | None:
    """Return `value`, which anybody may have written, if it is `Scales`; None otherwise."""
    if not isinstance(value, Mapping) or not all(map(_is_scale, value.values())):
        return None
    return {kind: (black, white) for kind, (black, white) in value.items() if kind in {DEEP, FLOATING}}


def _is_scale(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    numbers = all(isinstance(number, int | float) and math.isfinite(number) for number in value)
    return numbers and value[0] <= value[1]
