"""The results of a sweep as plain data: its runs in groups, with mean and deviation over the seeds."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cifar_tui.engine.config.schema import Setting
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.format import UNKNOWN
from cifar_tui.runs.listing import LIVE, SIGNS, ListedRun
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.store import Outcome

MemberStatus = Literal[
    "waiting", "starting", "running", "paused", "done", "hopeless", "stopped", "failed", "crashed", "unknown"
]

MEMBER_SIGNS: dict[str, str] = {**SIGNS, "waiting": "·", "starting": "▶", "hopeless": "▼"}
"""Sign of each status, shown beside its word."""

ENDED: tuple[MemberStatus, ...] = ("done", "hopeless")
"""The statuses of runs that there is nothing more to do for."""

FAILED: tuple[MemberStatus, ...] = ("failed", "crashed")

_DECIMALS = 4
"""Decimals to which accuracies (0-1) are compared: no more than a table shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A run of a sweep.

    Attributes:
        number: its number in the plan, from 1.
        status: its status.
        run: the run as it is listed; None while it has no folder.
        error: why it failed, or "".
    """

    number: int
    status: MemberStatus
    run: ListedRun | None = None
    error: str = ""

    @property
    def summary(self) -> RunSummary:
        """Its key figures."""
        known = self.run.summary if self.run is not None else None
        return known or RunSummary()


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Accuracies (0-1) of runs that differ in the seed only.

    Attributes:
        mean: their mean.
        deviation: their standard deviation, with n - 1 degrees of freedom; None for a single run.
        count: how many they are.
    """

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepGroup:
    """The runs with the same settings, but for the seed.

    Attributes:
        values: the values of the varied settings.
        members: the runs.
        validation: the validation accuracy of those that are done; None without any.
        test: their test accuracy; None without any.
        best: whether its mean validation accuracy is the highest of all groups.
    """

    values: tuple[Setting, ...]
    members: tuple[Member, ...]
    validation: Spread | None
    test: Spread | None
    best: bool = False

    @property
    def spreads(self) -> dict[str, Spread]:
        """The accuracies that are known, by what the user calls them."""
        known = {"val": self.validation, "test": self.test}
        return {name: spread for name, spread in known.items() if spread is not None}


def member_of(number: int, run: ListedRun | None, outcome: Outcome, *, alive: bool) -> Member:
    """Return run `number` with its status; `alive` if its process lives."""
    status: MemberStatus
    error = outcome.error
    if run is None:
        settled: MemberStatus = "hopeless" if outcome.hopeless_at else "failed" if error else "waiting"
        status = "starting" if alive else settled
        return Member(number=number, status=status, error="" if alive else error)
    status, error = run.state, run.summary.error if run.summary is not None else ""
    if status not in {*LIVE, "done"} and alive:
        status = "starting"  # it is being resumed, or has not got its lock yet
    elif status not in {*LIVE, "done"}:
        if outcome.hopeless_at:
            status = "hopeless"
        elif outcome.error:
            status, error = "failed", outcome.error
    return Member(number=number, status=status, run=run, error=error if status == "failed" else "")


def group_members(plan: SweepPlan, members: Mapping[int, Member]) -> list[SweepGroup]:
    """Group the runs of a sweep by their settings, in the order of the plan, and mark the best group.

    Only runs that are done count. The best is chosen by validation accuracy; without validation images there
    is none, as nothing is selected on test images.
    """
    numbers: dict[tuple[Setting, ...], list[int]] = {}
    for number in plan.numbers:
        numbers.setdefault(plan.values(number), []).append(number)
    groups = []
    for values, own in numbers.items():
        group = tuple(members[number] for number in own)
        done = [member.summary for member in group if member.status == "done"]
        groups.append(
            SweepGroup(
                values=values,
                members=group,
                validation=_spread([summary.val_accuracy for summary in done]),
                test=_spread([summary.last_accuracy for summary in done]),
            )
        )
    return _with_best(groups)


def status_counts(members: Mapping[int, Member]) -> dict[str, int]:
    """Count the runs by their status, in the order of `MEMBER_SIGNS`."""
    counts = Counter(member.status for member in members.values())
    order = ["done", "running", "paused", "starting", "waiting", "hopeless", "stopped"]
    ranked: list[str] = [*order, *(status for status in MEMBER_SIGNS if status not in order)]
    known = {str(status): count for status, count in counts.items()}
    return {status: known[status] for status in ranked if status in known}


def counts_text(members: Mapping[int, Member]) -> str:
    """Say how many runs have which status, as in `5 done, 2 running, 5 waiting`."""
    return ", ".join(f"{count} {status}" for status, count in status_counts(members).items())


def spread_text(spread: Spread | None) -> str:
    """Format as `57.53 ± 0.42`, in per cent; without the deviation for a single run."""
    if spread is None:
        return UNKNOWN
    mean = f"{100 * spread.mean:.2f}"
    return mean if spread.deviation is None else f"{mean} ± {100 * spread.deviation:.2f}"


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return Spread(mean=statistics.fmean(known), deviation=deviation, count=len(known))


def _with_best(groups: list[SweepGroup]) -> list[SweepGroup]:
    means = [round(group.validation.mean, _DECIMALS) for group in groups if group.validation is not None]
    if len(set(means)) < 2:
        return groups
    return [
        SweepGroup(
            values=group.values,
            members=group.members,
            validation=group.validation,
            test=group.test,
            best=group.validation is not None and round(group.validation.mean, _DECIMALS) == max(means),
        )
        for group in groups
    ]
