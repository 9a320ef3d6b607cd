"""The file in a run's folder that says which run of a sweep it is."""

from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.atomic import disk_errors_explained, write_text_atomically
from cifar_tui.engine.disk.regular import read_regular
from cifar_tui.engine.layout import SWEEP_FILE

_MOST_BYTES = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """A run's place in a sweep: the sweep's name, and the run's number in its plan, from 1."""

    sweep: str
    number: int


def read_membership(folder: Path) -> Membership | None:
    """Return which run of a sweep the one in `folder` is; None if it is in none."""
    try:
        sweep, number = read_regular(folder / SWEEP_FILE, limit=_MOST_BYTES).decode().splitlines()
        return Membership(sweep=sweep, number=int(number))
    except (OSError, ValueError):
        return None


def write_membership(folder: Path, membership: Membership) -> None:
    """Make the run in `folder` one of a sweep.

    Raises:
        RunFailedError: it cannot be written.
    """
    with disk_errors_explained(f"write '{folder / SWEEP_FILE}'"):
        write_text_atomically(folder / SWEEP_FILE, f"{membership.sweep}\n{membership.number}\n")
