"""The line about the processes of a run."""

from cifar_tui.app.widgets.ranks_line import ranks_line
from cifar_tui.engine.events import RankMeasured, RanksMeasured
from tests.runs.made_events import STARTED, at, folded

EIGHT = [("north" if rank < 4 else "south", f"cuda:{rank % 4} GPU", 900.0 + rank, 0.1) for rank in range(8)]
EIGHT[5] = ("south", "cuda:1 GPU", 812.4, 0.0)


def measured(*ranks):
    names = ("host", "device", "images_per_second", "waited")
    return RanksMeasured(ranks=tuple(RankMeasured(**dict(zip(names, rank, strict=True))) for rank in ranks))


def text(*events, width=200, rows=2):
    return ranks_line(folded(*events).snapshot(), width=width, rows=rows).plain


def test_each_process_is_shown_with_its_host_and_the_slowest_is_marked():
    ranks = measured(("a", "cuda:0", 12345.6, 0.25), ("a", "cuda:1", 9000.0, 0.0), ("b", "cpu", 9001.0, 0.2))
    assert text(at(1, STARTED), at(2, ranks)) == (
        "a: rank 0 cuda:0 12,346 images/s, waits 25 % · rank 1 cuda:1 9,000 images/s, waits 0 % ◂ slowest; "
        "b: rank 2 cpu 9,001 images/s, waits 20 %"
    )


def test_where_there_is_no_room_for_all_a_row_says_how_many_and_what_fits_of_the_slowest():
    events = at(1, STARTED), at(2, measured(*EIGHT))
    whole = "8 processes on 2 hosts (p all) · slowest rank 5: 812 images/s, waits 0 %, south cuda:1 GPU"
    assert text(*events, width=len(whole)) == whole
    assert text(*events, width=len(whole) - 1) == whole.removesuffix(", south cuda:1 GPU")
    assert text(*events, width=66) == whole.partition(", waits")[0]
    assert text(*events, width=58) == "8 processes on 2 hosts (p all) · slowest rank 5: 812 imag…"
    assert text(at(1, STARTED), at(2, measured(*EIGHT[:2])), width=80, rows=1).startswith(
        "2 processes (p all) · "
    )


def test_a_pane_that_has_no_size_yet_has_none():
    assert text(at(1, STARTED), at(2, measured(*EIGHT)), width=0) == ""


def test_a_run_in_one_process_has_none_even_if_several_began_it():
    assert text(at(1, STARTED)) == ""
    ranks = measured(("north", "cpu", 10.0, 0.0), ("north", "cpu", 9.0, 0.0))
    assert text(at(1, STARTED), at(2, ranks), at(3, STARTED)) == ""
