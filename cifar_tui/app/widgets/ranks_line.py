"""What each process of a run does: its speed, how long it waits for the others, and which one is slowest."""

import itertools

from textual.content import Content

from cifar_tui.engine.events import RankMeasured
from cifar_tui.runs.state import RunSnapshot

_SLOWEST = " ◂ slowest"


def ranks_line(snapshot: RunSnapshot) -> Content:
    """Describe the processes of a run host by host; nothing for a run in one process."""
    measured, started = snapshot.ranks, snapshot.started
    if measured is None or started is None or measured.time < started.time:  # of processes before a resume
        return Content()
    ranks = list(enumerate(measured.ranks))
    slowest = min(ranks, key=lambda entry: entry[1].images_per_second)[0] if ranks else None
    hosts = []
    for host, entries in itertools.groupby(ranks, key=lambda entry: entry[1].host):
        texts = [_rank(number, rank, slowest=number == slowest) for number, rank in entries]
        hosts.append(Content.assemble((host, "$text-muted"), ": ", Content(" · ").join(texts)))
    return Content("; ").join(hosts)


def _rank(number: int, rank: RankMeasured, *, slowest: bool) -> Content:
    figures = f"rank {number} {rank.device} {rank.images_per_second:,.0f} images/s, waits {rank.waited:.0%}"
    return Content.assemble(figures.replace("%", " %"), (_SLOWEST, "$text-warning") if slowest else "")
