"""The table of runs: its columns, its order and its filter."""

import pytest

from cifar_tui.runs.table import Order, build_table, details_text, filter_problem, filter_runs, sort_runs
from tests.runs.listed import listed

WIDE = 300
SWEEP = [
    listed("a", learning_rate=0.01, batch_size=8, seed=1, figures={"best_accuracy": 0.5}),
    listed("b", learning_rate=0.1, batch_size=8, seed=2, figures={"best_accuracy": 0.7}),
    listed("c", learning_rate=0.001, batch_size=4, seed=2, title="slow one"),
]


def headings(table):
    return [column.heading for column in table.columns]


def names(runs):
    return "".join(run.name for run in runs)


def test_columns_are_the_settings_that_differ_and_the_most_differing_comes_first():
    table = build_table(SWEEP, width=WIDE)
    assert headings(table)[:8] == ["run ▼", "name", "state", "preset", "data", "lr", "batch_size", "seed"]
    assert table.rows[0][:8] == ("c", "slow one", "✓ done", "tutorial", "auto", "0.001", "4", "2")
    assert "lr" not in headings(build_table(SWEEP[:1], width=WIDE)), "one run differs from none"
    assert "name" not in headings(build_table(SWEEP[:2], width=WIDE)), "none of them has a name"


def test_a_setting_reads_as_in_the_form():
    runs = [listed("a", cutout=0, head_lr=None), listed("b", cutout=4, head_lr=0.5)]
    assert [row[4:6] for row in build_table(runs, width=WIDE).rows] == [
        ("0.5", "4"),
        ("same as learning_rate", "none"),
    ]
    runs = [listed("a", weight_decay=0.0, later=0.0), listed("b", weight_decay=5.0)]
    assert [row[4:6] for row in build_table(runs, width=WIDE).rows] == [("5", "–"), ("0", "0.0")]


def test_a_table_is_never_wider_than_its_room():
    for width in range(20, 130):
        table = build_table(SWEEP, width=width)
        assert sum(column.width + 2 for column in table.columns) - 2 <= width
        assert headings(table)[0] == "run ▼"
        for row in table.rows:
            assert all(len(text) <= column.width for text, column in zip(row, table.columns, strict=True))


def test_the_first_differing_setting_and_the_best_accuracy_stay_where_there_is_little_room():
    assert headings(build_table(SWEEP, width=32)) == ["run ▼", "state", "lr", "best test"]
    by_age = build_table(SWEEP, width=32, order=Order(column="age", descending=False))
    assert "age ▲" in headings(by_age), "what the rows are sorted by stays, too"


def test_a_stopped_run_says_where_in_the_row_or_in_the_details():
    runs = [listed("a", state="stopped", title="a name of more than sixteen"), listed("b")]
    wide, narrow = build_table(runs, width=WIDE), build_table(runs, width=70)
    assert "■ stopped at step 20 of 50" in wide.rows[1]
    assert "■ stopped" in narrow.rows[1]
    assert "a name of more …" in narrow.rows[1]
    assert details_text(runs[0], narrow).startswith("■ stopped at step 20 of 50 · ")


def test_the_details_name_what_has_no_column():
    text = details_text(SWEEP[0], build_table(SWEEP, width=32))
    for part in ("batch_size 8", "seed 1", "preset tutorial", "time 1 m 15 s"):
        assert part in text
    assert "lr " not in text


@pytest.mark.parametrize(
    ("needle", "found"),
    [
        ("", "abc"),
        ("lr=0.01", "a"),
        ("lr=1e-2", "a"),
        ("learning_rate=.01", "a"),
        ("batch-size=8 lr=0.1", "b"),
        ("lr=0.0", "ac"),  # still being typed: no learning rate is 0
        ("optimizer=sgd", "abc"),
        ("optimizer=adamw", ""),
        ("tta=no", "abc"),
        ("channels_last=no", "abc"),
        ("state=done", "abc"),
        ("name=slow", "c"),
        ("SLOW one", "c"),
        ("0.001", "c"),
        ("50.00", "a"),
        ("resnet", ""),
        ("colour=red", ""),
    ],
)
def test_the_filter_takes_words_and_settings(needle, found):
    assert names(filter_runs(SWEEP, needle)) == found


def test_a_name_in_the_filter_that_means_nothing_is_told():
    assert filter_problem(SWEEP, "lr=1 done") == ""
    assert filter_problem(SWEEP, "optimiser=sgd") == (
        "No setting or column is called \"optimiser\"; did you mean 'optimizer'?"
    )


@pytest.mark.parametrize(
    ("order", "sorted_names"),
    [
        (Order(), "cba"),
        (Order().by("run"), "abc"),
        (Order().by("best"), "bac"),
        (Order().by("best").by("best"), "abc"),
        (Order().by("learning_rate"), "cab"),
        (Order().by("batch_size"), "cba"),
        (Order().by("name"), "cba"),
        (Order().by("bias_lr"), "cba"),
    ],
)
def test_rows_are_sorted_with_unknown_values_last_and_the_newest_first_among_equals(order, sorted_names):
    assert names(sort_runs(SWEEP, order)) == sorted_names


def test_the_next_order_is_that_of_results_then_of_settings_then_of_the_rest():
    order, columns = Order(), [column.key for column in build_table(SWEEP, width=WIDE).columns]
    found = []
    for _ in columns:
        order = order.next(columns)
        found.append(order.column)
    assert found[:3] == ["best", "last", "loss"]
    assert found[3:6] == ["learning_rate", "batch_size", "seed"]
    assert sorted(found) == sorted(columns)
    assert order == Order()
    assert Order(column="gone").next(columns) == Order(column="best")


def test_settings_of_another_version_are_sorted_and_shown():
    odd = listed("d", later=[1])
    table = build_table([*SWEEP, odd], width=WIDE, order=Order().by("later"))
    assert names(table.runs) == "dcba"
    assert "later ▲" in headings(table)


def test_a_setting_that_only_another_version_knows_can_be_looked_for():
    other = listed("d", figures={})
    other.config["step_path"] = "auto"
    assert names(filter_runs([*SWEEP, other], "step_path=auto")) == "d"
