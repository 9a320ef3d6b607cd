"""What the terminal shows when the screen is gone."""

from pathlib import Path

from cifar_tui.runs.disk.store import how_to_come_back
from cifar_tui.runs.source import RunSource


def farewell(run: RunSource | None, checkpoints: Path, *, detached: bool) -> str:
    """What became of `run`, and where it is or how to come back to it; "" where there was none."""
    if run is None:
        return ""
    if detached and run.folder is not None:
        return how_to_come_back(run.folder, checkpoints)
    snapshot = run.snapshot()
    lines = []
    if run.folder is not None:
        what = f"run {run.folder.name} in {run.folder}"
        lines.append(f"{what}: {snapshot.message or snapshot.phase}")
    elif snapshot.message and snapshot.ended is not None:
        lines.append(f"cifar-tui: {snapshot.message}")
    if snapshot.evaluated is not None and snapshot.evaluated.final:
        lines.append(snapshot.evaluated.tutorial_line())
    return "\n".join(lines)
