"""Runs side by side: the best is marked, and whole columns are shown."""

from cifar_tui.runs.comparison import comparison_columns, whole_columns
from tests.runs.listed import listed


def columns(*runs):
    return {column.heading: column for column in comparison_columns(runs)}


def test_results_and_differing_settings_are_columns_and_the_best_is_marked():
    shown = columns(
        listed("a", title="first", learning_rate=0.1, figures={"best_accuracy": 0.6, "loss": 1.5}),
        listed("b", state="stopped", learning_rate=0.2, figures={"best_accuracy": 0.7, "loss": 1.0}),
        listed("c", figures={"best_accuracy": 0.7}),
    )
    assert list(shown) == ["run", "best test", "train loss", "lr", "epoch", "time", "state"], (
        "no last accuracy"
    )
    assert shown["run"].texts == ("first", "b", "c")
    assert shown["state"].texts == ("✓ done", "■ stopped at step 20 of 50", "✓ done")
    assert shown["best test"].texts == ("60.00", "★ 70.00", "★ 70.00")
    assert shown["train loss"].texts == ("1.500", "★ 1.000", "–"), "the least loss is the best"
    assert shown["lr"].texts == ("0.1", "0.2", "0.001")
    assert shown["time"].texts == ("1 m 15 s",) * 3


def test_equal_results_are_not_marked():
    equal = {"best_accuracy": 0.60001}, {"best_accuracy": 0.60002}
    shown = columns(*(listed(name, figures=figures) for name, figures in zip("ab", equal, strict=True)))
    assert shown["best test"].texts == ("60.00", "60.00")
    assert shown["best test"].best == frozenset()


def test_columns_are_counted_only_if_they_fit_whole():
    widths = [10, 5, 6, 7, 40]
    assert whole_columns(widths, 1, 18) == 3
    assert whole_columns(widths, 1, 17) == 2
    assert whole_columns(widths, 4, 20) == 1, "one that is wider than the screen is shown nevertheless"
    assert whole_columns(widths, 5, 20) == 0
