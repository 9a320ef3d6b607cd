"""An app and screens that draw no more than the link to the terminal carries."""

import contextlib
from typing import TYPE_CHECKING

from rich.console import RenderableType
from textual.screen import Screen, ScreenResultType

from cifar_tui.app.driver import JobDriver
from cifar_tui.app.safe import SafeApp

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_SECONDS = 0.05


class LinkedApp(SafeApp):
    """An app that knows how far its terminal is behind, and exits quietly when it fails.

    Attributes:
        failure: the first error that Textual would show, and that ends the app.
        when_failed: called with it, once; the app is about to exit.
    """

    def __init__(self) -> None:
        super().__init__(driver_class=JobDriver)
        self.failure: BaseException | None = None
        self.when_failed: Callable[[BaseException], None] = lambda _: None

    def fail(self, error: BaseException) -> None:
        """Exit because of `error`; callable on any thread."""
        self._note_failure(error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self.call_later(self._close_messages_no_wait)

    def panic(self, *renderables: RenderableType) -> None:
        """Exit; what Textual would print belongs into a log."""
        self._note_failure(RuntimeError(" ".join(text for text in renderables if isinstance(text, str))))
        self._close_messages_no_wait()

    def _handle_exception(self, error: Exception) -> None:
        self._note_failure(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    def _note_failure(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self.when_failed(error)

    @property
    def screen_open(self) -> bool:
        """Whether the terminal still shows the screen, although the app has exited."""
        return isinstance(self._driver, JobDriver) and self._driver.link.screen_open

    def never_resume(self) -> None:
        """Exit without the screen if the process is suspended."""
        if isinstance(self._driver, JobDriver):
            self._driver.leaving = True

    @property
    def link_behind(self) -> bool:
        """Whether the terminal has not drawn the last frame yet."""
        return isinstance(self._driver, JobDriver) and self._driver.link.behind


class LinkedScreen(Screen[ScreenResultType]):
    """A screen that paints all that changed at once when the terminal has drawn the last frame."""

    _waits_for_link = False

    def _compositor_refresh(self) -> None:
        if self.is_current and self is not self.app.screen:
            self._paint_below_a_dialog()
        elif not (isinstance(self.app, LinkedApp) and self.app.link_behind):
            super()._compositor_refresh()
        else:
            self._dirty_widgets.clear()  # the compositor keeps their regions
            if not self._waits_for_link:
                self._waits_for_link = True
                self.set_timer(_RETRY_SECONDS, self._paint_later)

    def _paint_below_a_dialog(self) -> None:
        """Repaint what changed, where Textual would repaint the whole screen."""
        if regions := self._compositor._dirty_regions:  # noqa: SLF001 - Textual has no public name for them
            self.app.screen.refresh(*regions)
            regions.clear()
        self._dirty_widgets.clear()

    def _paint_later(self) -> None:
        self._waits_for_link = False
        self._compositor_refresh()
