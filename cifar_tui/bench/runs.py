"""`cifar-tui bench runs`: what the event log of a very long run costs on disk, to open and to follow."""

import dataclasses
import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.bench.long_run import (
    STEPS_PER_EPOCH,
    LongLog,
    append_events,
    make_log,
    opening_events,
    unfinished_config,
)
from cifar_tui.bench.processes import Opening, measure_following, measure_opening
from cifar_tui.bench.report import Figure, Spread, show_progress, spread
from cifar_tui.runs.disk.store import create_run_folder

LOG_LIMIT_BYTES = 30_000_000
OPENING_LIMIT_SECONDS = 2.0
FOLLOWING_LIMIT_CORE_SHARE = 0.02
MEMORY_LIMIT_RATIO = 1.5
"""A run ten times as long may take at most so much more memory to open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsBench:
    """What was measured of a run of `steps` steps, which counts as met where every limit is kept.

    Attributes:
        steps: the steps of the run.
        log: its log.
        opening_seconds: from the start of a process until the run is loaded, from a warm page cache.
        memory_mib: the peak of what opening takes, in MiB.
        short_memory_mib: the same for a run of a tenth of the length.
        following_core_share: CPU seconds a second of following the run, at its end.
        following_new_core_share: the same for a run that has just begun, of which every point is logged.
        torch_imported: whether any of that took torch.
    """

    steps: int
    log: LongLog
    opening_seconds: Spread
    memory_mib: Spread
    short_memory_mib: Spread
    following_core_share: Spread
    following_new_core_share: Spread
    torch_imported: bool

    @property
    def title(self) -> str:
        """What stands above the table."""
        return f"The event log of a run of {self.steps:,} steps"

    @property
    def memory_ratio(self) -> float:
        """The memory for the whole length over that for a tenth of it."""
        return self.memory_mib.median / self.short_memory_mib.median

    @property
    def spikes_kept(self) -> bool:
        """Whether the highest loss of a single step can still be read in the log."""
        return self.log.highest_in_log == self.log.highest_sent

    @property
    def met(self) -> bool:
        """Whether every limit is kept."""
        return self.spikes_kept and not self.torch_imported and all(row.met for row in self.figures())

    def figures(self) -> list[Figure]:
        """The rows of the table."""
        return [
            Figure(
                quantity="event log",
                spread=spread([self.log.size / 1e6]),
                unit="MB",
                at_most=LOG_LIMIT_BYTES / 1e6,
            ),
            Figure(quantity="lines in it", spread=spread([self.log.lines]), digits=0),
            Figure(
                quantity="opening, from the start of the process",
                spread=self.opening_seconds,
                unit="s",
                at_most=OPENING_LIMIT_SECONDS,
            ),
            Figure(quantity="memory that opening takes", spread=self.memory_mib, unit="MiB", digits=1),
            Figure(
                quantity="the same at a tenth of the length",
                spread=self.short_memory_mib,
                unit="MiB",
                digits=1,
            ),
            Figure(
                quantity="memory, over that at a tenth of the length",
                spread=spread([self.memory_ratio]),
                at_most=MEMORY_LIMIT_RATIO,
            ),
            Figure(
                quantity="following at the end of the run, of a core",
                spread=self.following_core_share,
                unit="%",
                at_most=FOLLOWING_LIMIT_CORE_SHARE,
            ),
            Figure(
                quantity="following at the beginning of a run, of a core",
                spread=self.following_new_core_share,
                unit="%",
                at_most=FOLLOWING_LIMIT_CORE_SHARE,
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "steps": self.steps,
            "log_bytes": self.log.size,
            "log_lines": self.log.lines,
            "highest_step_loss_sent": self.log.highest_sent,
            "highest_step_loss_in_log": self.log.highest_in_log,
            "spikes_kept": self.spikes_kept,
            "opening_seconds": dataclasses.asdict(self.opening_seconds),
            "memory_mib": dataclasses.asdict(self.memory_mib),
            "memory_mib_at_a_tenth": dataclasses.asdict(self.short_memory_mib),
            "memory_ratio": self.memory_ratio,
            "following_core_share": dataclasses.asdict(self.following_core_share),
            "following_new_core_share": dataclasses.asdict(self.following_new_core_share),
            "torch_imported": self.torch_imported,
            "limits": {
                "log_bytes": LOG_LIMIT_BYTES,
                "opening_seconds": OPENING_LIMIT_SECONDS,
                "memory_ratio": MEMORY_LIMIT_RATIO,
                "following_core_share": FOLLOWING_LIMIT_CORE_SHARE,
            },
            "met": self.met,
        }


def measure_runs(
    steps: int = 10_000_000, *, openings: int = 5, followings: int = 3, following_seconds: float = 20.0
) -> RunsBench:
    """Make the logs of a run of about `steps` steps and of a tenth of it, and measure what they cost.

    Args:
        steps: rounded to whole epochs, at least one.
        openings: how often each is opened.
        followings: how often a run is followed.
        following_seconds: how long each time.

    Raises:
        OSError: the logs cannot be written.
        RunFailedError: a process that measures failed.
    """
    with tempfile.TemporaryDirectory(prefix="cifar-tui-bench-") as name:
        checkpoints = Path(name)
        log = make_log(checkpoints, steps)
        short = make_log(checkpoints, steps // 10)
        opened: dict[Path, list[Opening]] = {log.folder: [], short.folder: []}
        for number, folder in itertools.product(range(openings), opened):
            show_progress(f"opening it, {number + 1} of {openings}", passing=folder == short.folder)
            opened[folder].append(measure_opening(folder))
        shares: list[tuple[float, float]] = []
        for number in range(followings):
            show_progress(f"following it for {following_seconds:g} s, {number + 1} of {followings}")
            long = shutil.copytree(log.folder, checkpoints / f"long-{number}")  # it goes on from its end
            new = create_run_folder(checkpoints, unfinished_config(1))
            append_events(new, opening_events(1))
            at_end, at_beginning = measure_following(
                {long: log.steps // STEPS_PER_EPOCH, new: 0}, following_seconds
            )
            shares.append((at_end, at_beginning))
        show_progress("")
    at_ends, at_beginnings = zip(*shares, strict=True)
    openings_of_log, openings_of_short = opened.values()
    return RunsBench(
        steps=log.steps,
        log=log,
        opening_seconds=spread(opening.seconds for opening in openings_of_log),
        memory_mib=spread(opening.memory_mib for opening in openings_of_log),
        short_memory_mib=spread(opening.memory_mib for opening in openings_of_short),
        following_core_share=spread(at_ends),
        following_new_core_share=spread(at_beginnings),
        torch_imported=any(opening.torch_imported for opening in openings_of_log),
    )
