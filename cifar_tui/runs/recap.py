"""What happened to a run since somebody last looked at it."""

from datetime import timedelta
from pathlib import Path

from cifar_tui.engine.events import Alert, CheckpointSaved, EpochFinished, Event, Resumed
from cifar_tui.engine.layout import SEEN_FILE
from cifar_tui.runs.state import RunSnapshot, RunState

_MOST_ALERTS = 3


def mark_seen(folder: Path) -> None:
    """Remember that somebody looks at the run in `folder` now.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / SEEN_FILE).touch()


def last_seen(folder: Path) -> float | None:
    """When somebody last looked at the run in `folder`, in Unix seconds; None where nobody did."""
    try:
        return (folder / SEEN_FILE).stat().st_mtime
    except OSError:
        return None


class Recap:
    """Tells what the events after `since` (Unix seconds; None: all of them) brought."""

    def __init__(self, *, since: float | None) -> None:
        self._since = since
        self._before: RunSnapshot | None = RunSnapshot() if since is None else None
        self._last_time = since or 0.0
        self._first_time: float | None = since
        self._epochs: dict[int, int] = {}
        self._checkpoints = 0
        self._resumed_at: list[int] = []
        self._alerts: list[str] = []

    def note(self, event: Event, state: RunState) -> None:
        """Take in the next event, before `state` does."""
        if self._before is None:
            if self._since is not None and event.time <= self._since:
                return
            self._before = state.snapshot()
        if self._first_time is None:
            self._first_time = event.time
        self._last_time = event.time
        match event:
            case EpochFinished():
                self._epochs[event.epoch] = event.step
            case CheckpointSaved():
                self._checkpoints += 1
            case Resumed():
                self._resumed_at.append(event.step)
                self._epochs = {epoch: step for epoch, step in self._epochs.items() if step <= event.step}
            case Alert():
                self._alerts.append(event.text)

    def lines(self, now: RunSnapshot) -> list[str]:
        """What happened, in a few lines; none where nothing did."""
        before = self._before
        if before is None or self._first_time is None:
            return []
        span = timedelta(seconds=round(self._last_time - self._first_time))
        lines = [f"{span} passed since {'the last look' if self._since is not None else 'it began'}."]
        if now.step > before.step:
            trained = f"{now.step - before.step:,} steps were trained"
            if self._epochs:
                ended = len(self._epochs)
                trained += f" and {ended} {'epoch' if ended == 1 else 'epochs'} ended"
            if now.loss is not None:
                start = "" if before.loss is None else f"{before.loss:.3f} → "
                trained += f"; loss {start}{now.loss:.3f}"
            lines.append(trained + ".")
        if now.evaluated is not None and now.evaluated != before.evaluated:
            lines.append(
                f"Test accuracy {100 * now.evaluated.accuracy:.2f} % at step {now.evaluated.step:,}."
            )
        if self._checkpoints and now.checkpoint is not None:
            count = "1 checkpoint was" if self._checkpoints == 1 else f"{self._checkpoints} checkpoints were"
            lines.append(f"{count} saved, the last at step {now.checkpoint.step:,}.")
        lines += [f"It was resumed from step {step:,}." for step in self._resumed_at]
        lines += [f"! {text}" for text in self._alerts[-_MOST_ALERTS:]]
        error = now.ended.error if now.ended is not None else ""
        detail = error or now.message
        lines.append(f"Now it is {now.phase}" + (f": {detail}" if detail else "."))
        return lines
