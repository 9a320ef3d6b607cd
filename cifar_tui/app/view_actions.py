"""The actions that change what is seen, and nothing of a run; and the palette."""

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.screen import Screen

from cifar_tui.app.commands import palette_commands
from cifar_tui.app.views.train import Dashboard


def _help_screen() -> Screen[None]:
    from cifar_tui.app.dialogs.help import HelpScreen

    return HelpScreen()


class ViewActions(App[int]):
    """An app with a `Dashboard` under all its screens, and the keys that change its view."""

    SCREENS: ClassVar = {"help": _help_screen}  # it is kept: to open it again takes half the time

    @property
    def dashboard(self) -> Dashboard:
        """The screen under all dialogs."""
        return next(screen for screen in self.screen_stack if isinstance(screen, Dashboard))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette has the commands of the table that can be used now, and the theme."""
        del screen
        for command in palette_commands():
            if self.check_action(command.action.partition("(")[0], ()):
                run = partial(self.run_action, command.action)
                yield SystemCommand(f"{command.name} ({command.key_label})", command.description, run)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    def import_other_screens(self) -> None:
        """To be called once the dashboard is seen: it does not wait for them, nor a key that opens one."""
        self.get_screen("help")  # its module imports all the others

    def action_show_pane(self, name: str) -> None:
        """Go to a pane."""
        self.dashboard.show_pane(name)

    def action_leave_field(self) -> None:
        """Move the cursor out of a field, to its pane."""
        if self.dashboard.settings.has_focus_within:
            self.dashboard.set_focus(self.dashboard.settings)

    def action_sample_batch(self, step: int) -> None:
        """Show another batch of test images."""
        self.dashboard.sample_number += step

    def action_log_scale(self) -> None:
        """Switch the scale of the loss chart."""
        self.dashboard.training.toggle_log_scale()

    def action_smoothing(self) -> None:
        """Smooth the curves more, or not at all."""
        self.dashboard.training.cycle_smoothing()

    def action_zoom(self, step: int) -> None:
        """Show less of the charts, or more."""
        if step > 0:
            self.dashboard.training.zoom_in()
        else:
            self.dashboard.training.zoom_out()

    def action_other_chart(self) -> None:
        """Where there is room for one chart only, show the other one."""
        self.dashboard.training.swap_chart()

    def action_help(self) -> None:
        """Show all keys."""
        if self.get_screen("help") not in self.screen_stack:
            self.push_screen("help")
