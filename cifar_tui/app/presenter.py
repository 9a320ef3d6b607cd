"""Shows a run on the dashboard at the pace that drawing allows, and keeps in mind what was seen of it."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from cifar_tui.app.pacer import Pacer
from cifar_tui.app.view_actions import ViewActions
from cifar_tui.engine.events import Phase
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.recap import mark_seen
from cifar_tui.runs.source import RunSource
from cifar_tui.runs.state import PendingRequest

_Part = tuple[Pacer, Callable[[RunSource], None]]
"""Of the dashboard: when it is due, and what draws it."""

_Standing = tuple[Phase, PendingRequest | None]
"""What a run does, and what it is still to do."""

_EFFECT_SECONDS, _EFFECT_LOOKS = 0.015, 40
_SEEN_SECONDS = 3.0


class RunPresenter:
    """The run that the dashboard of `app` shows, as the user sees it.

    Args:
        app: whose dashboard it is.
    """

    def __init__(self, app: ViewActions) -> None:
        self._app = app
        self._run: RunSource | None = None
        self._parts: list[_Part] = []
        self._told_away = True
        self._seen_at = 0.0

    def follow(self, run: RunSource, *, tell_away: bool = False) -> None:
        """Show `run` from now on, and say what happened since the last look if `tell_away`."""
        self._run = run
        self._told_away = not tell_away
        dashboard = self._app.dashboard
        dashboard.forget_run()
        self._parts = [
            (
                Pacer(share=0.0007, savings=0.2, fastest=1.0, slowest=30.0, growth=0.5),
                dashboard.show_curves,
            ),
            (
                Pacer(share=0.0004, savings=0.1, fastest=0.4, slowest=30.0, growth=0.4),
                dashboard.show_samples,
            ),
            # soon enough for what is read; to look whether there is a new text is not free
            (Pacer(share=0.0003, savings=0.06, fastest=1.0, slowest=12.0), dashboard.show_texts),
            (Pacer(share=0.0015, savings=0.1, fastest=0.2, slowest=2.5), dashboard.show_numbers),
        ]

    def show(self, run: RunSource) -> None:
        """Show what changed in `run`, if its turn has come."""
        self._draw(run)
        self._mark_seen(run)
        self._tell_away(run)

    def show_effect_of(self, request: Callable[[], None]) -> None:
        """Make a request of the run and look closely for its effect, for a key wants an answer at once."""
        if self._run is not None:
            before = _standing(self._run)
            request()
            self._app.run_worker(self._look_closely(self._run, before), exclusive=True, group="effect")

    def mark_seen_now(self, run: RunSource) -> None:
        """Keep in mind that `run` was looked at until this moment."""
        self._seen_at = 0.0
        self._mark_seen(run)

    def _draw(self, run: RunSource) -> None:
        snapshot = run.snapshot()
        due = [part for part in self._parts if part[0].due(snapshot)]
        if not due:
            return
        # one at a time, for each is timed by itself, and then the others go first
        self._parts.remove(due[0])
        self._parts.append(due[0])
        pacer, show = due[0]
        pacer.begin()
        show(run)
        self._app.call_after_refresh(pacer.end)

    async def _look_closely(self, run: RunSource, seen: _Standing) -> None:
        for _ in range(_EFFECT_LOOKS):
            if run is not self._run or not self._app.is_running:
                return
            now = _standing(run)
            if now != seen:
                seen = phase, asked = now
                self._app.dashboard.show_run(run)
                if asked is None and phase is not Phase.SAVING:  # what a pause and a stop begin with
                    return
            await asyncio.sleep(_EFFECT_SECONDS)

    def _mark_seen(self, run: RunSource) -> None:
        if run.folder is not None and self._told_away and time.monotonic() - self._seen_at > _SEEN_SECONDS:
            self._seen_at = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk has an alert of its own
                mark_seen(run.folder)

    def _tell_away(self, run: RunSource) -> None:
        """Say once what happened since the last look, as soon as the log is read."""
        if self._told_away or not isinstance(run, AttachedRun) or not run.loaded:
            return
        self._told_away = True
        if run.recap:
            from cifar_tui.app.dialogs.dialogs import AwayDialog

            self._app.push_screen(AwayDialog(run.recap))


def _standing(run: RunSource) -> _Standing:
    snapshot = run.snapshot()
    return snapshot.phase, snapshot.pending
