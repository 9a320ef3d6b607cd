"""What each process of a run does: its speed, how long it waits for the others, and which one is slowest."""

import itertools

from textual.content import Content

from cifar_tui.engine.events import RankMeasured
from cifar_tui.engine.text import escaped
from cifar_tui.runs.state import RunSnapshot

SLOWEST = "◂ slowest"


def ranks_of(snapshot: RunSnapshot) -> tuple[RankMeasured, ...]:
    """Return the processes of the run in the order of their ranks; none for a run in one process."""
    measured, started = snapshot.ranks, snapshot.started
    if measured is None or started is None or measured.time < started.time:  # of processes before a resume
        return ()
    return measured.ranks


def slowest_of(ranks: tuple[RankMeasured, ...]) -> int:
    """Return the rank of the process whose own computing is slowest."""
    return min(range(len(ranks)), key=lambda rank: ranks[rank].images_per_second)


def ranks_line(snapshot: RunSnapshot, *, width: int, rows: int) -> Content:
    """Describe the processes of a run in so many columns and rows: each one, or how many and the slowest."""
    ranks = ranks_of(snapshot)
    if not ranks or not width:  # or before its layout
        return Content()
    whole = _each(ranks)
    if whole.get_height({}, width) <= rows:
        return whole
    return _summary(ranks, width)


def _each(ranks: tuple[RankMeasured, ...]) -> Content:
    slowest = slowest_of(ranks)
    hosts = []
    for host, entries in itertools.groupby(enumerate(ranks), key=lambda entry: entry[1].host):
        texts = [
            Content.assemble(
                f"rank {number} {escaped(rank.device)} {_speed(rank)}, {_waits(rank)}",
                (f" {SLOWEST}", "$text-warning") if number == slowest else "",
            )
            for number, rank in entries
        ]
        hosts.append(Content.assemble((escaped(host), "$text-muted"), ": ", Content(" · ").join(texts)))
    return Content("; ").join(hosts)


def _summary(ranks: tuple[RankMeasured, ...], width: int) -> Content:
    """Say how many there are, and of the slowest what there is room for."""
    slowest = slowest_of(ranks)
    rank, hosts = ranks[slowest], len({rank.host for rank in ranks})
    summary = Content.assemble(
        f"{len(ranks)} processes{f' on {hosts} hosts' if hosts > 1 else ''} (",
        ("p", "bold $text-accent"),
        " all) · ",
        ("slowest", "$text-warning"),
        f" rank {slowest}: {_speed(rank)}",
    )
    for more in (_waits(rank), f"{escaped(rank.host)} {escaped(rank.device)}"):
        longer = Content.assemble(summary, f", {more}")
        if longer.cell_length > width:
            break
        summary = longer
    return summary.truncate(width, ellipsis=True)


def _speed(rank: RankMeasured) -> str:
    return f"{rank.images_per_second:,.0f} images/s"


def _waits(rank: RankMeasured) -> str:
    return f"waits {100 * rank.waited:.0f} %"
