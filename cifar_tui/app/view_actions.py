"""The app's actions that change the view but not the run, and the palette."""

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.events import Key
from textual.screen import Screen

from cifar_tui.app.commands import palette_commands
from cifar_tui.app.linked import LinkedApp
from cifar_tui.app.panes.run_charts import RunCharts
from cifar_tui.app.presenter import RunPresenter
from cifar_tui.app.views.train import Dashboard


def _help_screen() -> Screen[None]:
    from cifar_tui.app.dialogs.help import HelpScreen

    return HelpScreen()


class ViewActions(LinkedApp):
    """An app with a `Dashboard` below all its screens, and the keys that change its view."""

    SCREENS: ClassVar = {"help": _help_screen}  # kept: reopening it takes half the time

    def __init__(self) -> None:
        super().__init__()
        self.presenter = RunPresenter(self)

    @property
    def dashboard(self) -> Dashboard:
        """The screen below all dialogs."""
        return next(screen for screen in self.screen_stack if isinstance(screen, Dashboard))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        del screen
        for command in palette_commands():
            if self.check_action(command.action, command.parameters):
                run = partial(self.run_action, command.call)
                yield SystemCommand(f"{command.name} ({command.key_label})", command.description, run)
        yield SystemCommand("Theme", "Change the color theme", self.action_change_theme)

    def import_other_screens(self) -> None:
        """Import the other screens once the dashboard is drawn, so that no key waits for it."""
        self.get_screen("help")  # its module imports all the others

    def action_show_pane(self, name: str) -> None:
        self.dashboard.show_pane(name)

    def action_maximise(self) -> None:
        self.dashboard.maximise()
        self.refresh_bindings()

    action_show_all_panes = action_maximise

    def action_find_setting(self) -> None:
        from cifar_tui.app.find_setting import SettingsProvider

        self.push_screen(CommandPalette([SettingsProvider], placeholder="Find a setting…"))

    def on_key(self, event: Key) -> None:
        """Take alt+letter for escape and the letter: a terminal sends the same bytes for both."""
        alt, _, letter = event.key.partition("alt+")
        if letter and not alt:
            self.simulate_key("escape")
            self.post_message(Key(letter, event.character or letter))

    def action_step_back(self) -> None:
        dashboard = self.dashboard
        if not dashboard.training.charts.leave_cursor() and dashboard.is_maximised:
            self.action_maximise()

    def action_sample_batch(self, step: int) -> None:
        self.dashboard.sample_number += step
        self.presenter.show()

    def action_log_scale(self) -> None:
        charts = self._current_charts()
        charts.log_scale = not charts.log_scale

    def action_smoothing(self) -> None:
        self._current_charts().cycle_smoothing()

    def action_zoom(self, direction: int) -> None:
        self._current_charts().zoom(direction)

    def action_pan(self, direction: int) -> None:
        self._current_charts().pan(direction)

    def action_x_axis(self) -> None:
        self._current_charts().cycle_unit()

    def action_chart_cursor(self) -> None:
        charts = self._current_charts()
        charts.toggle_cursor()
        if charts.view.cursor is not None:  # the arrow keys move it
            self.dashboard.show_pane("training")

    def action_other_chart(self) -> None:
        self._current_charts().next_chart()

    def _current_charts(self) -> RunCharts:
        """Return the charts, drawn from the latest points."""
        self.presenter.show_curves()
        return self.dashboard.training.charts

    def action_help(self) -> None:
        if self.get_screen("help") not in self.screen_stack:
            self.push_screen("help")
