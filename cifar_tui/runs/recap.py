"""What happened to a run since the user last viewed it."""

import os
import stat
import time
from pathlib import Path

from cifar_tui.engine.disk.regular import open_regular
from cifar_tui.engine.events import Alert, CheckpointSaved, EpochFinished, Event, Resumed
from cifar_tui.engine.layout import SEEN_FILE
from cifar_tui.runs.format import age, loss_figure
from cifar_tui.runs.state import STOPPED, RunSnapshot, RunState, stopped_early

_MOST_ALERTS = 3


def mark_seen(folder: Path) -> None:
    """Record that the user is viewing the run in `folder` now.

    Raises:
        OSError: the folder is not writable.
    """
    descriptor = open_regular(folder / SEEN_FILE, os.O_WRONLY | os.O_CREAT)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)


def last_seen(folder: Path) -> float | None:
    """Return when the user last viewed the run in `folder`, in Unix seconds; None if never."""
    try:
        seen = (folder / SEEN_FILE).lstat()
    except OSError:
        return None
    return seen.st_mtime if stat.S_ISREG(seen.st_mode) else None


class Recap:
    """Sum up the events after `since` (Unix seconds; None: all of them)."""

    def __init__(self, *, since: float | None) -> None:
        self._since = since
        self._before: RunSnapshot | None = RunSnapshot() if since is None else None
        self._first_time = since
        self._epochs: dict[int, int] = {}
        self._checkpoints = 0
        self._resumed_at: list[int] = []
        self._alerts: list[str] = []

    def note(self, event: Event, state: RunState) -> None:
        """Note the next event, before `state` applies it."""
        if self._before is None:
            if self._since is not None and event.time <= self._since:
                return
            self._before = state.snapshot()
        if self._first_time is None:
            self._first_time = event.time
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
        """Sum up in a few lines; none if nothing happened."""
        before = self._before
        if before is None or self._first_time is None:
            return []
        what = "Started" if self._since is None else "Last viewed"
        lines = [f"{what} {age(time.time() - self._first_time)} ago."]
        if now.step > before.step:
            trained = f"Trained {_count(now.step - before.step, 'step')}"
            if self._epochs:
                trained += f", {_count(len(self._epochs), 'epoch')} finished"
            if now.loss is not None:
                start = "" if before.loss is None else f"{loss_figure(before.loss)} → "
                trained += f" · loss {start}{loss_figure(now.loss)}"
            lines.append(trained)
        if now.evaluated is not None and now.evaluated != before.evaluated:
            lines.append(f"Test accuracy {100 * now.evaluated.accuracy:.2f} % at step {now.evaluated.step:,}")
        if self._checkpoints and now.checkpoint is not None:
            saved = _count(self._checkpoints, "checkpoint")
            lines.append(f"Saved {saved}, the latest at step {now.checkpoint.step:,}")
        lines += [f"Resumed from step {step:,}" for step in self._resumed_at]
        lines += [f"! {text}" for text in self._alerts[-_MOST_ALERTS:]]
        detail = (now.ended.error if now.ended is not None else "") or now.message
        if stopped_early(now):
            status = detail if detail.startswith(STOPPED) else stopped_early(now)
        else:
            status = now.status + (f" ({detail})" if detail else "")
        return [*lines, f"Status: {status}"]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
