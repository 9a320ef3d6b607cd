"""What the terminal shows when the screen is gone."""

from pathlib import Path

from cifar_tui.runs.disk.store import attach_hint
from cifar_tui.runs.source import RunSource


def exit_message(run: RunSource | None, checkpoints: Path, *, detached: bool) -> str:
    """What became of `run`, and where it is or how to come back to it; "" where there was none."""
    if run is None:
        return ""
    if detached and run.folder is not None:
        return attach_hint(run.folder, checkpoints)
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
