"""The colours of the charts, legible in every theme."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product, starmap

from textual.color import Color

LEGIBLE = 4.5
"""Least contrast of text with its background (WCAG 2.2, level AA)."""

_XTERM_GREYS = [(level, level, level) for level in range(8, 239, 10)]
XTERM = [*product((0, 95, 135, 175, 215, 255), repeat=3), *_XTERM_GREYS]
"""The colours of a terminal with 256, without the 16 of the user's theme."""

_FAINTEST = 0.5
_LEAST_SHADE = 1.1
"""Contrast of a shade with its background from which it can be seen."""

_OKABE_ITO = ("#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#f0e442", "#0072b2")
"""Colours that the colour-blind tell apart: Okabe and Ito, https://jfly.uni-koeln.de/color/."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """The colours of a chart, each as "#rrggbb"; `runs` are those of runs that are compared."""

    loss: str
    loss_raw: str
    training: str
    training_raw: str
    test: str
    rate: str
    axis: str
    grid: str
    text: str
    runs: tuple[str, ...]

    @classmethod
    def from_theme(cls, variables: Mapping[str, str]) -> "Palette":
        """Derive the colours from a Textual theme, as in `App.theme_variables`."""
        background = Color.parse(variables["background"])
        if background.ansi is not None:  # the terminal's own colours are not known here
            return ANY_BACKGROUND
        foreground = Color.parse(variables["foreground"])

        def legible(name: str) -> Color:
            return _legible(Color.parse(variables[name]), foreground, background)

        loss, training = legible("accent"), legible("primary")
        return cls(
            loss=loss.hex6,
            loss_raw=loss.blend(background, 0.5).hex6,
            training=training.hex6,
            training_raw=training.blend(background, 0.5).hex6,
            test=legible("success").hex6,
            rate=legible("secondary").hex6,
            axis=_legible(foreground.blend(background, _FAINTEST), foreground, background).hex6,
            grid=foreground.blend(background, 0.65).hex6,
            text=foreground.hex6,
            runs=(
                # not into the foreground: on a light background all would be alike
                *(_legible(Color.parse(name), _extreme(background), background).hex6 for name in _OKABE_ITO),
                foreground.hex6,
            ),
        )


ANY_BACKGROUND = Palette(
    loss="#d78700",
    loss_raw="#94743f",
    training="#5f87d7",
    training_raw="#5f7397",
    test="#4ea35f",
    rate="#af5fd7",
    axis="#808080",
    grid="#606060",
    text="#808080",
    runs=("#3f8fc0", "#b07a00", "#0e8f6c", "#cf5c05", "#b8699a", "#8f8620", "#4a78c8", "#808080"),
)
"""Middle tones, readable on dark and on light."""


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colours (1-21), as WCAG defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@functools.cache
def xterm_shades(background: Color) -> tuple[tuple[Color, ...], Color]:
    """Return greys that a terminal of 256 colours has, from the nearest to `background`, and a text for them.

    The text is legible on all of them. Among 256 colours, blends with any other colour become a few stains.
    """
    text = _extreme(background)
    shades = [
        grey
        for grey in starmap(Color, _XTERM_GREYS)
        if LEGIBLE <= contrast(grey, text) < contrast(background, text)
        and contrast(grey, background) >= _LEAST_SHADE
    ]
    return tuple(sorted(shades, key=lambda grey: contrast(grey, background))), text


def _legible(colour: Color, foreground: Color, background: Color) -> Color:
    """Blend `colour` into the foreground, and that into black or white, until it is legible."""
    extreme = _extreme(background)
    for start, end in ((colour, foreground), (foreground, extreme)):
        for tenths in range(11):
            mixed = start.blend(end, tenths / 10)
            if contrast(mixed, background) >= LEGIBLE:
                return mixed
    return extreme


def _extreme(background: Color) -> Color:
    """Return black or white, whichever stands out from `background`."""
    return Color.parse("black" if background.brightness > 0.5 else "white")


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
