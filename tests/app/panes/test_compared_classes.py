"""Gains and losses per class: the largest first, told by sign and number as well as by colour."""

import pytest

from cifar_tui.app.panes.compared_classes import class_lines
from cifar_tui.runs.differences import ClassDifference


def difference(name: str, baseline: float | None, accuracy: float | None) -> ClassDifference:
    return ClassDifference(name=name, baseline=baseline, accuracy=accuracy)


def lines(differences: list[ClassDifference], width: int) -> list[str]:
    return class_lines(differences, width).plain.split("\n")


def test_a_line_has_both_accuracies_the_change_and_a_bar_where_there_is_room() -> None:
    classes = [
        difference("cat", 0.25, 0.5),
        difference("dog", 0.5, 0.375),
        difference("ant", 0.5, 0.5),
        difference("new", None, 1.0),
    ]
    assert lines(classes, 60) == [
        f"cat   25.0 % →  50.0 %   ▲ +25.0 {'█' * 24}",
        f"dog   50.0 % →  37.5 %   ▼ -12.5 {'█' * 12}",
        "ant   50.0 % →  50.0 %     = 0.0",
        "new      – % → 100.0 %         –",
    ]
    assert lines(classes, 29)[0] == "cat  25.0→ 50.0  ▲ +25.0"


@pytest.mark.parametrize("width", [29, 33, 46, 78, 120])
def test_two_hundred_classes_fit_any_width(width: int) -> None:
    names = [f"class with a long name {number}" for number in range(200)]
    shown = lines([difference(name, 0.0, 1.0) for name in names], width)
    assert len({line.split()[0] for line in shown}) > 1
    assert len(shown) == 200
    assert all(len(line.rstrip()) <= width for line in shown)
