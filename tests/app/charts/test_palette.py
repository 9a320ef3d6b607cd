"""The colours of the charts can be read in every theme."""

import itertools
import math

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from cifar_tui.app.charts.palette import ANY_BACKGROUND, LEGIBLE, Palette, contrast


def test_contrast_is_that_of_the_web_guidelines() -> None:
    assert contrast(Color.parse("black"), Color.parse("white")) == pytest.approx(21)
    assert contrast(Color.parse("#767676"), Color.parse("white")) == pytest.approx(4.54, abs=0.01)


def test_labels_and_lines_are_legible_in_every_theme() -> None:
    for theme in BUILTIN_THEMES.values():
        variables = theme.to_color_system().generate()
        palette, background = Palette.from_theme(variables), Color.parse(variables["background"])
        if background.ansi is not None:
            assert palette is ANY_BACKGROUND
            continue
        for name in ("text", "axis", "loss", "training", "test", "rate"):
            colour = Color.parse(getattr(palette, name))
            assert contrast(colour, background) >= LEGIBLE - 0.05, (theme.name, name)
        for colour in palette.runs:
            assert contrast(Color.parse(colour), background) >= LEGIBLE - 0.05, theme.name
        pairs = itertools.combinations(map(Color.parse, palette.runs), 2)
        assert min(math.dist(one.rgb, other.rgb) for one, other in pairs) > 16, theme.name
        raw, line = Color.parse(palette.loss_raw), Color.parse(palette.loss)
        assert contrast(raw, background) < contrast(line, background), "raw points are dim"
