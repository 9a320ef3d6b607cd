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
from cifar_tui.app.screenshot import write_screenshot
from cifar_tui.app.views.paned import PanedScreen
from cifar_tui.app.views.train import Dashboard
from cifar_tui.engine.errors import UserError

_OF_THE_DASHBOARD = {"train()", "command_palette()"}
"""Actions that a key of the app has over every view, but that do nothing there."""


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
        """Yield what can be done on `screen`: on the dashboard by all keys, also those typed into a field."""
        if isinstance(screen, Dashboard):
            for command in palette_commands():
                if self.check_action(command.action, command.parameters):
                    run = partial(self.run_action, command.call)
                    yield SystemCommand(f"{command.name} ({command.key_label})", command.description, run)
        else:
            if isinstance(screen, PanedScreen):
                for number, name in enumerate(screen.PANES, 1):
                    show = partial(screen.action_show_pane, name)
                    yield SystemCommand(f"{name.capitalize()} ({number})", f"Go to {name.capitalize()}", show)
            yield from self._commands_of(screen)
        yield SystemCommand("Screenshot", "Save a picture of the screen as SVG", self.action_save_screenshot)
        yield SystemCommand("Theme", "Change the color theme", self.action_change_theme)

    def _commands_of(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the keys of `screen` do now, each action once."""
        told = {
            active.binding.action: active
            for active in reversed(screen.active_bindings.values())
            if active.enabled and active.binding.description and (active.binding.show or active.tooltip)
        }
        for action, (node, binding, _, tooltip) in told.items():
            if action in _OF_THE_DASHBOARD:
                continue
            name = f"{binding.description} ({self.get_key_display(binding)})"
            run = partial(self.run_action, action, node)
            yield SystemCommand(name, tooltip or binding.description, run)

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
            if letter.startswith("shift+") and event.character is not None:
                letter = event.character
            self.simulate_key("escape")
            self.post_message(Key(letter, event.character or letter))

    def action_step_back(self) -> None:
        dashboard = self.dashboard
        if not dashboard.training.charts.leave_cursor() and dashboard.is_maximised:
            self.action_maximise()

    def action_sample_batch(self, step: int) -> None:
        if self.presenter.run is not None:
            self.dashboard.step_samples(self.presenter.run, step)
            self.presenter.show()

    def action_wrong_samples(self) -> None:
        run = self.presenter.run
        if run is None or not self.dashboard.toggle_wrong_samples(run):
            self.notify("No wrong predictions to show.", severity="warning")
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

    def action_processes(self) -> None:
        from cifar_tui.app.dialogs.processes import ProcessesScreen

        run = self.presenter.run
        if run is not None:
            self.push_screen(ProcessesScreen(run.snapshot))

    def action_save_screenshot(self) -> None:
        """Save what is on the screen once the palette is closed."""
        self.call_after_refresh(self._save_screenshot)

    def _save_screenshot(self) -> None:
        svg = self.export_screenshot(simplify=True)

        def save() -> None:  # in a thread: a slow disk must not block the screen
            try:
                said = f"Saved the screenshot to '{write_screenshot(svg)}'."
            except UserError as error:
                self.call_from_thread(self.notify, str(error), severity="error", timeout=15)
            else:
                self.call_from_thread(self.notify, said, timeout=15)

        self.run_worker(save, thread=True)

    def action_help(self) -> None:
        if self.get_screen("help") not in self.screen_stack:
            self.push_screen("help")
