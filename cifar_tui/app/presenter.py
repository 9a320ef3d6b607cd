"""Draw the shown run on the dashboard at fixed intervals, and recap what happened since it was viewed."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from cifar_tui.engine.events import Phase
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.recap import mark_seen
from cifar_tui.runs.source import RunSource
from cifar_tui.runs.state import PendingRequest

if TYPE_CHECKING:
    from cifar_tui.app.view_actions import ViewActions

TICK_SECONDS = 0.5
_TICKS_OF_TEXTS, _TICKS_OF_CURVES = 2, 4
"""Figures are drawn at every tick; log, samples and summary at every second one; charts at every fourth."""
_SEEN_SECONDS = 3.0
SLOW_FRAME_SECONDS, SLOW_LINK_SECONDS = 1.5, 2.5
"""What the header calls a slow connection, and how long it says so after the last slow frame."""
_EFFECT_POLL_SECONDS, _EFFECT_POLLS = 0.015, 40

PhaseAndRequest = tuple[Phase, PendingRequest | None]


class RunPresenter:
    """Shows one run on the dashboard of `app`.

    Drawing is cheap when nothing changed, so a paused or finished run costs next to nothing. While the
    terminal is behind, the timer draws nothing, so that no frame waits for another one.

    Attributes:
        run: the run that is shown.
    """

    def __init__(self, app: "ViewActions") -> None:
        self.run: RunSource | None = None
        self._app = app
        self._recap_shown = True
        self._seen_at = 0.0
        self._tick = 0
        self._texts_due = self._curves_due = False
        self._frame_at = self._slow_frame_at = 0.0
        self._frame_skipped = self._slow_link_shown = False

    def start(self) -> None:
        """Start drawing; call it once the app is mounted."""
        self._app.set_interval(TICK_SECONDS, self._on_tick)

    def follow(self, run: RunSource, *, recap: bool = False) -> None:
        """Show `run` from now on; with `recap`, say what happened since it was last viewed."""
        self.close()
        self.run = run
        self._recap_shown = not recap
        self._app.dashboard.forget_run()

    def close(self) -> None:
        """Let go of the run of another process, which continues."""
        if isinstance(self.run, AttachedRun):
            self.run.close()

    def show(self, *, only_figures: bool = False) -> None:
        """Draw state and figures as they are now, and everything else but the charts."""
        if self.run is not None and self._app.is_running:  # the timer still ticks while the screens close
            self._app.dashboard.show_run(self.run, only_figures=only_figures)

    def show_curves(self) -> bool:
        """Draw the charts from the latest points; return whether there were new ones."""
        return self.run is not None and self._app.is_running and self._app.dashboard.show_curves(self.run)

    def request(self, request: Request) -> None:
        """Make a request of the run and draw its effect as soon as there is one."""
        if self.run is not None:
            before = _phase_and_request(self.run)
            self.run.request(request)
            self._app.run_worker(self._show_effect(self.run, before), exclusive=True, group="effect")

    def mark_seen_now(self) -> None:
        """Record that the run was viewed until this moment."""
        self._seen_at = 0.0
        self._mark_seen()

    def _on_tick(self) -> None:
        self._tick += 1
        self._texts_due |= self._tick % _TICKS_OF_TEXTS == 0
        self._curves_due |= self._tick % _TICKS_OF_CURVES == 0
        if self._app.link_behind:
            self._frame_skipped = True
            return
        self._show_slow_link()
        self.show(only_figures=not self._texts_due)
        if self._curves_due:  # without a new point they stay due: it waits for one tick, not for four
            self._curves_due = not self.show_curves()
        self._texts_due = False
        self._mark_seen()
        self._show_recap()

    def _show_slow_link(self) -> None:
        """Say in the header how long the last frame took, if the terminal took that long for it."""
        now = time.monotonic()
        seconds, skipped = now - self._frame_at, self._frame_skipped
        self._frame_at, self._frame_skipped = now, False
        if skipped and seconds > SLOW_FRAME_SECONDS:
            self._slow_frame_at, self._slow_link_shown = now, True
            self._app.dashboard.header.show_slow_link(seconds)
        elif self._slow_link_shown and now - self._slow_frame_at > SLOW_LINK_SECONDS:
            self._slow_link_shown = False
            self._app.dashboard.header.show_slow_link(None)

    async def _show_effect(self, run: RunSource, seen: PhaseAndRequest) -> None:
        for _ in range(_EFFECT_POLLS):
            if run is not self.run or not self._app.is_running:
                return
            now = _phase_and_request(run)
            if now != seen:
                seen = phase, pending = now
                self._app.dashboard.show_run(run)
                if pending is None and phase is not Phase.SAVING:  # pausing and stopping begin with saving
                    return
            await asyncio.sleep(_EFFECT_POLL_SECONDS)

    def _mark_seen(self) -> None:
        due = self._recap_shown and time.monotonic() - self._seen_at > _SEEN_SECONDS
        if self.run is not None and self.run.folder is not None and due:
            self._seen_at = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk has its own alert
                mark_seen(self.run.folder)

    def _show_recap(self) -> None:
        """Open the recap once, as soon as the event log is read."""
        if self._recap_shown or not isinstance(self.run, AttachedRun) or not self.run.loaded:
            return
        self._recap_shown = True
        if self.run.recap:
            from cifar_tui.app.dialogs.questions import RecapDialog

            self._app.push_screen(RecapDialog(self.run.recap))


def _phase_and_request(run: RunSource) -> PhaseAndRequest:
    snapshot = run.snapshot()
    return snapshot.phase, snapshot.pending
