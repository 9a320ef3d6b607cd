"""The table of runs with those of a sweep together: a row for the sweep, for each group, for each run."""

import dataclasses
import functools
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import cut, escaped, escaped_name
from cifar_tui.runs.comparison import BEST_MARK
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.listing import LIVE, SIGNS, ListedRun
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.results import (
    ENDED,
    MEMBER_SIGNS,
    Member,
    SweepGroup,
    counts_text,
    group_members,
    member_of,
    spread_text,
)
from cifar_tui.runs.sweep.store import (
    PLAN_FILE,
    Outcome,
    read_outcomes,
    read_plan,
    sweep_names,
    sweeps_folder,
)
from cifar_tui.runs.table import RunsTable

OPEN, FOLDED = "▾", "▸"
_INDENT = "  "
_LONGEST_NAME, _LONGEST_LABEL = 14, 24


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedSweep:
    """A sweep, with those of its runs that have begun.

    Attributes:
        plan: its plan.
        folder: its folder.
        live: whether a process works on it.
        members: its runs by their numbers.
        groups: the runs by their settings.
    """

    plan: SweepPlan
    folder: Path
    live: bool
    members: Mapping[int, Member]
    groups: Sequence[SweepGroup]

    @property
    def label(self) -> str:
        """What the user calls it."""
        return f"sweep {cut(escaped_name(self.plan.name), _LONGEST_NAME)}"

    @property
    def runs(self) -> list[ListedRun]:
        """Its runs, as far as they have begun."""
        return _runs_of(self.members.values())

    @property
    def details(self) -> str:
        """Say how its runs are, and which settings are the best."""
        best = (
            f"{BEST_MARK} {self.described(group)} val {spread_text(group.validation)} %"
            for group in self.groups
            if group.best
        )
        # a run that failed before it had a folder has no row that says why
        why = (member.error for member in self.members.values() if member.run is None and member.error)
        return " · ".join(
            [self.label, counts_text(self.members), *best, *map(escaped, itertools.islice(why, 1))]
        )

    def described(self, group: SweepGroup) -> str:
        """Say what settings `group` has."""
        return self.plan.described_values(group.members[0].number)


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeRow:
    """A row of the table.

    Attributes:
        key: tells it from all others.
        level: how deep it is.
        texts: its cells by column.
        run: the run; None for a sweep or a group.
        runs: the runs below it, shown or not; the run itself.
        details: what else there is to say of a sweep or a group.
        sweep: the sweep; None for a run or a group.
    """

    key: str
    level: int
    texts: Mapping[str, str]
    run: ListedRun | None = None
    runs: tuple[ListedRun, ...] = ()
    details: str = ""
    sweep: ListedSweep | None = None


def list_sweeps(checkpoints: Path, runs: Iterable[ListedRun]) -> dict[str, ListedSweep]:
    """List the sweeps with those of `runs` that are in them; one whose plan cannot be read is left out."""
    found: dict[str, dict[int, ListedRun]] = {name: {} for name in sweep_names(checkpoints)}
    for run in runs:
        if run.membership is not None:
            found.setdefault(run.membership.sweep, {})[run.membership.number] = run
    sweeps = {}
    for name, own in found.items():
        folder = sweeps_folder(checkpoints) / name
        try:
            plan = _known_plan(folder, (folder / PLAN_FILE).stat().st_mtime_ns)
            plan = dataclasses.replace(plan, name=name)  # that of another one if its folder is a copy
        except (OSError, ConfigError):  # its folder was removed: its runs are ordinary ones
            continue
        outcomes = read_outcomes(folder)
        members = {
            number: member_of(number, own.get(number), outcomes.get(number, Outcome()), alive=False)
            for number in plan.numbers
        }
        sweeps[name] = ListedSweep(
            plan=plan,
            folder=folder,
            live=owner_of(folder).live,
            members=members,
            groups=group_members(plan, members),
        )
    return sweeps


@functools.lru_cache(maxsize=64)
def _known_plan(folder: Path, changed: int) -> SweepPlan:
    """Read the plan in `folder`, once as long as it was not `changed`: runs are listed every few seconds."""
    del changed
    return read_plan(folder)


def heading_rows(sweeps: Mapping[str, ListedSweep]) -> list[Mapping[str, str]]:
    """Return the cells of all rows that are no runs, and of runs as far as they are indented; for widths."""
    rows: list[Mapping[str, str]] = []
    for sweep in sweeps.values():
        rows.append(_sweep_cells(sweep, FOLDED))
        for group in sweep.groups:
            rows.append(_group_cells(sweep, group, FOLDED))
            deep = 2 if len(group.members) > 1 else 1
            rows += [_run_cells(sweep, run, deep, {}) for run in _runs_of(group.members)]
    return rows


def arrange(
    table: RunsTable, sweeps: Mapping[str, ListedSweep], unusual: Collection[str]
) -> tuple[TreeRow, ...]:
    """Put the runs of each sweep together, where the first of them is in `table`; those without any go last.

    Args:
        table: the runs in their order.
        sweeps: the sweeps by their names.
        unusual: keys of the sweeps that are folded, and of the groups that are not.
    """
    texts = {
        run.name: dict(zip((column.key for column in table.columns), row, strict=True))
        for run, row in zip(table.runs, table.rows, strict=True)
    }
    rows: list[TreeRow] = []
    done: set[str] = set()
    for run in table.runs:
        sweep = sweeps.get(run.membership.sweep) if run.membership is not None else None
        if sweep is None:
            rows.append(TreeRow(key=run.name, level=0, texts=texts[run.name], run=run, runs=(run,)))
        elif sweep.plan.name not in done:
            done.add(sweep.plan.name)
            own = [other for other in table.runs if _is_in(other, sweep)]
            rows += _sweep_rows(sweep, own, texts, unusual)
    empty = [sweep for sweep in sweeps.values() if not sweep.runs]
    rows += [row for sweep in empty for row in _sweep_rows(sweep, (), {}, unusual)]
    return tuple(rows)


def _sweep_rows(
    sweep: ListedSweep,
    runs: Sequence[ListedRun],
    texts: Mapping[str, Mapping[str, str]],
    unusual: Collection[str],
) -> list[TreeRow]:
    key = f"sweep {sweep.plan.name}"
    folded = key in unusual
    cells = _sweep_cells(sweep, FOLDED if folded else OPEN)
    rows = [
        TreeRow(key=key, level=0, texts=cells, runs=tuple(runs), details=sweep.details, sweep=sweep),
    ]
    if folded:
        return rows
    groups = {run.name: group for group in sweep.groups for run in _runs_of(group.members)}
    shown: dict[int, tuple[SweepGroup, list[ListedRun]]] = {}
    for run in runs:  # the groups in the order of their first runs
        group = groups.get(run.name)
        if group is None:
            rows.append(_run_row(sweep, run, 1, texts))
        else:
            shown.setdefault(group.members[0].number, (group, []))[1].append(run)
    for group, own in shown.values():
        rows += _group_rows(sweep, group, own, texts, unusual)
    return rows


def _group_rows(
    sweep: ListedSweep,
    group: SweepGroup,
    runs: Sequence[ListedRun],
    texts: Mapping[str, Mapping[str, str]],
    unusual: Collection[str],
) -> list[TreeRow]:
    if len(group.members) == 1:
        row = _run_row(sweep, runs[0], 1, texts)
        if group.best:
            marked = {**row.texts, "val": f"{BEST_MARK} {row.texts.get('val', '')}"}
            row = dataclasses.replace(row, texts=marked)
        return [row]
    key = f"group {sweep.plan.name} {group.members[0].number}"
    opened = key in unusual
    rows = [
        TreeRow(
            key=key,
            level=1,
            texts=_group_cells(sweep, group, OPEN if opened else FOLDED),
            runs=tuple(runs),
            details=_group_details(sweep, group),
        )
    ]
    return rows + ([_run_row(sweep, run, 2, texts) for run in runs] if opened else [])


def _run_row(
    sweep: ListedSweep, run: ListedRun, level: int, texts: Mapping[str, Mapping[str, str]]
) -> TreeRow:
    cells = _run_cells(sweep, run, level, texts[run.name])
    return TreeRow(key=run.name, level=level, texts=cells, run=run, runs=(run,))


def _run_cells(sweep: ListedSweep, run: ListedRun, level: int, texts: Mapping[str, str]) -> dict[str, str]:
    cells = {**texts, "run": _INDENT * level + texts.get("run", run.name)}
    member = sweep.members.get(run.membership.number) if run.membership is not None else None
    if member is not None and member.status == "hopeless":
        cells["state"] = f"{MEMBER_SIGNS['hopeless']} hopeless"
    return cells


def _sweep_cells(sweep: ListedSweep, fold: str) -> dict[str, str]:
    best = next((group for group in sweep.groups if group.best), None)
    cells = {
        "run": f"{fold} {cut(escaped_name(sweep.plan.name), _LONGEST_NAME)}",
        "state": _progress(sweep.members.values(), live=sweep.live),
    }
    if best is not None:
        cells["val"] = f"{BEST_MARK} {spread_text(best.validation)}"
    return cells


def _group_cells(sweep: ListedSweep, group: SweepGroup, fold: str) -> dict[str, str]:
    label = sweep.described(group) or f"{len(group.members)} seeds"
    cells = {
        "run": f"{_INDENT}{fold} {cut(label, _LONGEST_LABEL)}",
        "state": _progress(group.members),
    }
    if group.validation is not None:
        mark = f"{BEST_MARK} " if group.best else ""
        cells["val"] = f"{mark}{spread_text(group.validation)}"
    if group.test is not None:
        cells["last"] = spread_text(group.test)
    return cells


def _progress(members: Collection[Member], *, live: bool = False) -> str:
    """Say how many of `members` are done, with a sign for what the others do."""
    states = [member.status for member in members]
    sign = SIGNS["stopped"]
    if live or not set(LIVE).isdisjoint(states):
        sign = SIGNS["running"]
    elif set(states) <= set(ENDED):
        sign = SIGNS["done"]
    return f"{sign} {states.count('done')}/{len(states)} done"


def _group_details(sweep: ListedSweep, group: SweepGroup) -> str:
    spreads = [f"{name} {spread_text(spread)} %" for name, spread in group.spreads.items()]
    counts = counts_text({member.number: member for member in group.members})
    return " · ".join(filter(None, (sweep.described(group), counts, *spreads)))


def _runs_of(members: Iterable[Member]) -> list[ListedRun]:
    return [member.run for member in members if member.run is not None]


def _is_in(run: ListedRun, sweep: ListedSweep) -> bool:
    return run.membership is not None and run.membership.sweep == sweep.plan.name
