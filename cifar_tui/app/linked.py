"""An app and screens that draw no more than the link to the terminal carries."""

from textual.app import App
from textual.screen import Screen, ScreenResultType

from cifar_tui.app.driver import JobDriver

_RETRY_SECONDS = 0.05


class LinkedApp(App[int]):
    """An app that knows how far its terminal is behind."""

    def __init__(self) -> None:
        super().__init__(driver_class=JobDriver)

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
