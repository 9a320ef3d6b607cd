"""How figures are worded."""

from cifar_tui.runs.format import stopped_at


def test_where_a_run_was_stopped_is_told_if_its_length_is_known():
    assert stopped_at(5000, 25_000) == "stopped at step 5,000 of 25,000"
    assert stopped_at(0, 0) == "stopped"
