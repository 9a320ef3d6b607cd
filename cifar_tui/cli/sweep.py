"""`cifar-tui sweep`: train many runs over settings and seeds."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

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
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.processes import LocalWorkers, Workers
from cifar_tui.runs.sweep.ray_workers import RayWorkers, ray_address
from cifar_tui.runs.sweep.results import ENDED, FAILED, Member, counts_text
from cifar_tui.runs.sweep.scheduler import SweepScheduler
from cifar_tui.runs.sweep.search import Span, drawn, grid, parse_axis, parse_seeds, varied
from cifar_tui.runs.sweep.store import create_sweep, find_sweep, free_name, read_plan, sweeps_folder
from cifar_tui.terminal.supervisor import ParentLink, run_in_child

_ETA = 3
_POLL_SECONDS = 0.1
_DRAW_SECONDS = 1.0


def sweep(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    checkpoints = checkpoints_folder(options)
    if options.detach and options.json:
        raise ConfigError("--json and --detach cannot be combined: --json waits for the results")
    if options.resume is not None:
        _check_resume(options)
        folder = find_sweep(checkpoints, options.resume)
        plan = read_plan(folder)
    else:
        if options.retry_failed:
            raise ConfigError("--retry-failed needs --resume: a new sweep has no failed runs")
        plan = build_plan(options, options.name or free_name(checkpoints))
        check_checkpoints(checkpoints)
        folder = sweeps_folder(checkpoints) / plan.name
    work = partial(_work, folder, plan, options)
    if options.detach:
        return run_in_child(work, reads_terminal=False)
    if sys.stdin.isatty() and sys.stderr.isatty():
        return run_in_child(work)
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


def _check_resume(options: argparse.Namespace) -> None:
    """Check that a sweep to resume is given no other plan.

    Raises:
        ConfigError: it is.
    """
    own = ("seeds", "random", "sweep_seed", "name", "eta", "config")
    given = [name for name in own if getattr(options, name) is not None]
    given += ["stop_hopeless"] if options.stop_hopeless else []
    given += [*assignments(options)]
    if given:
        raise ConfigError(f"--resume keeps the plan of the sweep: leave out {given[0].replace('_', ' ')}")


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


def _work(folder: Path, plan: SweepPlan, options: argparse.Namespace, parent: ParentLink | None) -> int:
    """Work through `plan` and return the exit code."""
    terminal = SweepTerminal(folder, plan, parent)
    workers = _workers(folder, plan, options)  # first: without any there is no sweep
    if options.resume is None:
        create_sweep(folder, plan)
    scheduler = SweepScheduler(
        folder,
        plan,
        workers,
        retry_failed=options.retry_failed,
        say=lambda text: print_message(f"cifar-tui: {text}"),
    )
    scheduler.take_over()
    try:
        with terminal.handling(scheduler):
            if options.detach:
                terminal.leave()
            _follow(scheduler, terminal)
        members = scheduler.members()
    finally:
        scheduler.release()
    _print_results(plan, members, as_json=options.json)
    return _exit_code(plan, members, terminal.received.exit_code)


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
        if now >= draw_at:
            terminal.show(scheduler.members())
            draw_at = time.monotonic() + _DRAW_SECONDS
        terminal.wait(_POLL_SECONDS)


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


def _exit_code(plan: SweepPlan, members: Mapping[int, Member], signalled: int) -> int:
    """Return the exit code, and say what is left to do."""
    counts = counts_text(members)
    left = [member for member in members.values() if member.status not in ENDED]
    failed = [member for member in left if member.status in FAILED]
    if not left:
        print_message(f"cifar-tui: sweep {plan.name}: {counts}")
        return signalled
    retry = " --retry-failed" if len(failed) == len(left) else ""
    print_message(
        f"cifar-tui: sweep {plan.name}: {counts}. Continue with: cifar-tui sweep --resume {plan.name}{retry}"
    )
    unfinished = any(member.status == "waiting" for member in left)
    return signalled or (RunFailedError.exit_code if failed or unfinished else 0)
