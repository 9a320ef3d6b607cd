"""How texts are shortened."""

import pytest

from cifar_tui.runs.format import cut, cut_path, stopped_at


def test_a_long_name_is_cut_at_its_end_and_a_path_in_its_middle():
    assert cut("lr-sweep-3", 10) == "lr-sweep-3"
    assert cut("lr-sweep-30", 10) == "lr-sweep-…"
    assert cut_path("/data/flowers", 13) == "/data/flowers"
    assert cut_path("/home/someone/data/flowers", 16) == "/home…ta/flowers"


@pytest.mark.parametrize("longest", range(1, 12))
def test_what_is_cut_is_as_long_as_it_may_be(longest):
    assert len(cut("abcdefghijklm", longest)) == longest
    assert len(cut_path("abcdefghijklm", longest)) == longest


def test_where_a_run_was_stopped_is_told_if_its_length_is_known():
    assert stopped_at(5000, 25_000) == "stopped at step 5,000 of 25,000"
    assert stopped_at(0, 0) == "stopped"
