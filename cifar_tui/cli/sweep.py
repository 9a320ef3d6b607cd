"""`cifar-tui sweep`: train many runs over settings and seeds."""

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cifar_tui.cli.interrupted import wait_for_lost_owner
from cifar_tui.cli.output import json_text, print_message, printing_results
from cifar_tui.cli.parser import (
    assignments,
    build_given,
    checkpoints_folder,
    merged_settings,
    settings_in_file,
)
from cifar_tui.cli.sweep_member import member_command
from cifar_tui.cli.sweep_terminal import SweepTerminal
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.disk.run_lock import BEAT_SECONDS
from cifar_tui.runs.disk.store import check_checkpoints
from cifar_tui.runs.sweep.plan import SweepPlan, check_count
from cifar_tui.runs.sweep.processes import LocalWorkers, Workers
from cifar_tui.runs.sweep.ray_workers import RayWorkers, ray_address
from cifar_tui.runs.sweep.results import ENDED, FAILED, Member, counts_text
from cifar_tui.runs.sweep.scheduler import SweepScheduler, list_members, stop_sweep
from cifar_tui.runs.sweep.search import Span, drawn, grid, parse_axis, parse_seeds, varied
from cifar_tui.runs.sweep.store import (
    create_sweep,
    find_sweep,
    free_name,
    has_plan,
    member_folders,
    read_outcomes,
    read_plan,
    sweep_command,
    sweeps_folder,
)
from cifar_tui.terminal.supervisor import ParentLink, run_in_child

_ETA = 3
_OF_PLAN = ("seeds", "random", "sweep_seed", "name", "stop_hopeless", "eta", "config")
_UNUSED: dict[str, tuple[str, ...]] = {
    "resume": (),
    "show": ("retry_failed", "workers", "ray", "detach"),
    "stop": ("retry_failed", "workers", "ray", "detach", "json"),
}
"""Options that `--resume`, `--show` and `--stop` have no use for."""

_POLL_SECONDS = 0.1
_DRAW_SECONDS = 1.0


def sweep(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    if options.detach and options.json:
        raise ConfigError("--json and --detach cannot be combined: --json waits for the results")
    name = _existing(options)
    is_new = name is None
    if name is not None:
        folder = find_sweep(checkpoints, name)
        plan = read_plan(folder)
        if options.show is not None:
            return _show(folder, plan, as_json=options.json)
        if options.stop is not None:
            stop_sweep(folder)
            return 0
    else:
        if options.retry_failed:
            raise ConfigError("--retry-failed needs --resume: a new sweep has no failed runs")
        plan = build_plan(options, options.name or free_name(checkpoints))
        check_checkpoints(checkpoints)
        folder = sweeps_folder(checkpoints) / plan.name
        if has_plan(folder, plan):  # as when a batch system starts a job again
            is_new = False
            print_message(f"cifar-tui: resuming sweep {plan.name}, which has this plan")
    work = partial(_work, folder, plan, options, is_new=is_new)
    if options.detach:
        return run_in_child(work, reads_terminal=False, how_to_continue=_how_to_continue)
    if sys.stdin.isatty() and sys.stderr.isatty():
        return run_in_child(work, how_to_continue=_how_to_continue)
    return work(None)


def build_plan(options: argparse.Namespace, name: str) -> SweepPlan:
    """Build the plan of a sweep called `name` from the command line.

    Raises:
        ConfigError: a setting of one of its runs is wrong, or options contradict each other.
    """
    _check_options(options)
    axes = {setting: parse_axis(setting, text) for setting, text in assignments(options).items()}
    seeds = axes.pop("seed", None)
    if options.seeds is not None:
        if seeds is not None:
            raise ConfigError("--seeds and the setting seed cannot be combined: leave one out")
        seeds = parse_seeds(options.seeds)
    if isinstance(seeds, Span):
        raise ConfigError("seed cannot have a range; use --seeds, such as --seeds 0-4", field="seed")
    names = varied(axes.items())
    number = options.random or math.prod(len(axis) for axis in axes.values() if not isinstance(axis, Span))
    check_count(number * len(seeds or ("",)))  # before they are made
    if options.random is not None:
        combinations = drawn(axes, options.random, seed=_whole(options.sweep_seed or "0", "--sweep-seed"))
    else:
        combinations = grid(axes)
    in_file = settings_in_file(options)
    configs = []
    for texts in combinations:
        for seed in ({"seed": text} for text in seeds) if seeds else ({},):
            values = merged_settings(options, texts | seed, in_file)
            configs.append(with_absolute_folders(build_given(options, values, base=None)))
    return SweepPlan(
        name=name,
        configs=tuple(configs),
        varied=names,
        workers=options.workers or 0,
        eta=(options.eta or _ETA) if options.stop_hopeless else 0,
    )


def _check_options(options: argparse.Namespace) -> None:
    if options.sweep_seed is not None and options.random is None:
        raise ConfigError("--sweep-seed needs --random: a grid draws nothing")
    if options.eta is not None and not options.stop_hopeless:
        raise ConfigError("--eta needs --stop-hopeless")
    if options.eta == 1:
        raise ConfigError("--eta must be at least 2: with 1 no run is stopped")


def _existing(options: argparse.Namespace) -> str | None:
    """Return the name of the sweep to resume, to show or to stop; None for a new one.

    Raises:
        ConfigError: there are several, or settings for another plan.
    """
    named = {flag: getattr(options, flag) for flag in ("resume", "show", "stop")}
    chosen = [flag for flag, name in named.items() if name is not None]
    if not chosen:
        return None
    if len(chosen) > 1:
        raise ConfigError(f"--{chosen[0]} and --{chosen[1]} cannot be combined")
    own = [flag for flag in _OF_PLAN if getattr(options, flag) not in {None, False}]
    given = [*(f"--{flag.replace('_', '-')}" for flag in own), *assignments(options)]
    if given:
        raise ConfigError(f"--{chosen[0]} keeps the plan of the sweep: leave out {given[0]}")
    unused = [flag for flag in _UNUSED[chosen[0]] if getattr(options, flag) not in {None, False}]
    if unused:
        raise ConfigError(
            f"--{chosen[0]} and --{unused[0].replace('_', '-')} cannot be combined: leave one out"
        )
    return str(named[chosen[0]])


def _whole(text: str, flag: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{flag} {text!r} must be a whole number, at least 0")
    return int(text)


def _workers(folder: Path, plan: SweepPlan, options: argparse.Namespace) -> Workers:
    count = options.workers or plan.workers
    command: Callable[..., list[str]] = partial(member_command, folder)
    address = ray_address(options.ray)
    if address is not None:
        return RayWorkers(folder, plan, command, address=address, workers=count)
    from cifar_tui.runs.sweep.machine import shares_of_machine

    return LocalWorkers(folder, command, shares_of_machine(plan, count))


def _work(
    folder: Path, plan: SweepPlan, options: argparse.Namespace, parent: ParentLink | None, *, is_new: bool
) -> int:
    """Work through `plan`, of a sweep that is new or has a folder, and return the exit code."""
    terminal = SweepTerminal(folder, plan, parent)
    workers = _workers(folder, plan, options)  # first: without any there is no sweep
    if is_new:
        try:
            create_sweep(folder, plan)
        except ConfigError:
            if not has_plan(folder, plan):  # else the same command was started at the same moment
                raise
    scheduler = SweepScheduler(
        folder,
        plan,
        workers,
        retry_failed=options.retry_failed,
        say=lambda text: print_message(f"cifar-tui: {text}"),
    )
    if not is_new:
        wait_for_lost_owner(folder)
    scheduler.take_over()
    if parent is not None:
        parent.note_run(folder)
    try:
        with terminal.handling(scheduler):
            if options.detach:
                terminal.leave()
            _follow(scheduler, terminal)
        members = scheduler.members()
    finally:
        scheduler.release()
    _print_results(plan, members, as_json=options.json)
    return _exit_code(folder, plan, members, terminal.received.exit_code)


def _follow(scheduler: SweepScheduler, terminal: SweepTerminal) -> None:
    """Take the steps of the scheduler, and show the runs, until all have ended."""
    draw_at = beat_at = 0.0
    while True:
        scheduler.step()
        now = time.monotonic()
        if now >= beat_at:
            with contextlib.suppress(OSError):  # the next beat may succeed
                scheduler.beat()
            beat_at = now + BEAT_SECONDS
        if scheduler.ended:
            return
        if now >= draw_at and not terminal.left:
            terminal.show(scheduler.members())
            draw_at = time.monotonic() + _DRAW_SECONDS
        terminal.wait(_POLL_SECONDS)


def _how_to_continue(folder: Path) -> str:
    """Say how to continue the sweep in `folder` after its process was killed."""
    return f"runs that have started continue. Resume the sweep with: {sweep_command('--resume', folder)}"


def _show(folder: Path, plan: SweepPlan, *, as_json: bool) -> int:
    """Print the table of a sweep as it is now, and return the exit code."""
    folders = member_folders(folder.parent.parent, plan.name, {})
    members = list_members(folder, plan, folders, read_outcomes(folder), known={})
    _print_results(plan, members, as_json=as_json)
    print_message(f"cifar-tui: sweep {plan.name}: {counts_text(members)}")
    return 0


def _print_results(plan: SweepPlan, members: Mapping[int, Member], *, as_json: bool) -> None:
    from cifar_tui.cli.console import print_table
    from cifar_tui.cli.sweep_text import groups_table, print_failed, ranked, sweep_as_json, table_notes
    from cifar_tui.runs.sweep.results import group_members

    with printing_results():
        if as_json:
            print(json_text(sweep_as_json(plan, members), indent=2))
        else:
            print_table(groups_table(plan, ranked(group_members(plan, members))))
    print_message(f"cifar-tui: {' · '.join(table_notes(plan, members))}")
    print_failed(plan, members)


def _exit_code(folder: Path, plan: SweepPlan, members: Mapping[int, Member], signalled: int) -> int:
    """Return the exit code, and say what is left to do."""
    counts = counts_text(members)
    left = [member for member in members.values() if member.status not in ENDED]
    failed = [member for member in left if member.status in FAILED]
    if not left:
        print_message(f"cifar-tui: sweep {plan.name}: {counts}")
        return signalled
    retry = " --retry-failed" if len(failed) == len(left) else ""
    print_message(
        f"cifar-tui: sweep {plan.name}: {counts}. Continue with: {sweep_command('--resume', folder)}{retry}"
    )
    unfinished = any(member.status == "waiting" for member in left)
    return signalled or (RunFailedError.exit_code if failed or unfinished else 0)
