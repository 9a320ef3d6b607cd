"""The table of commands, from which keys, footer, palette and help are made."""

from dataclasses import dataclass

from textual.binding import Binding

from cifar_tui.app.views.train import PANES
from cifar_tui.runs.control.protocol import Request, is_allowed
from cifar_tui.runs.source import RunSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Something the user can do.

    Attributes:
        keys: Textual's names of the keys, separated by commas.
        key_label: the key as the user sees it.
        name: one or two words, for the footer and the palette.
        description: one line, for the palette and the help screen.
        group: the heading in the help screen.
        action: the app's action, as in `action_…`.
        arguments: what the action is called with.
        request: what it requests of the run; then `action` and `arguments` need not be given.
        notice: shown when the request is made, if its effect would not show at once.
        in_footer: whether the footer shows it, where there is room.
        footer_name: its name there, if `name` is too long.
        everywhere: whether its key works while a field has the focus, too.
    """

    keys: str
    key_label: str
    name: str
    description: str
    group: str
    action: str = "request"
    arguments: tuple[str | int, ...] = ()
    request: Request | None = None
    notice: str = ""
    in_footer: bool = False
    footer_name: str = ""
    everywhere: bool = False

    @property
    def parameters(self) -> tuple[str | int, ...]:
        """What the action is called with, as `check_action` gets it."""
        return self.arguments if self.request is None else (self.request.value,)

    @property
    def call(self) -> str:
        """The action as Textual parses it, such as `zoom(1)`."""
        return f"{self.action}({', '.join(map(repr, self.parameters))})"


COMMANDS = (
    Command(
        keys="t",
        key_label="t",
        name="Train",
        description="Train with the settings in the form",
        group="Run",
        action="train",
        in_footer=True,
    ),
    Command(
        keys="space",
        key_label="space",
        name="Pause",
        description="Pause or resume training",
        group="Run",
        request=Request.TOGGLE_PAUSE,
        in_footer=True,
    ),
    Command(
        keys="c",
        key_label="c",
        name="Checkpoint",
        footer_name="Save",
        description="Save a checkpoint now",
        group="Run",
        request=Request.SAVE,
        notice="Saving checkpoint…",
        in_footer=True,
    ),
    Command(
        keys="s",
        key_label="s",
        name="Stop",
        description="Save and stop; cancels loading",
        group="Run",
        request=Request.STOP,
        in_footer=True,
    ),
    Command(
        keys="e",
        key_label="e",
        name="Evaluate",
        description="Evaluate on the test set",
        group="Run",
        request=Request.EVALUATE,
        in_footer=True,
    ),
    Command(
        keys="d",
        key_label="d",
        name="Detach",
        description="Quit the dashboard, keep training",
        group="Run",
        action="detach",
        in_footer=True,
    ),
    Command(
        keys="u",
        key_label="u",
        name="Resume run",
        description="Resume from the last checkpoint",
        group="Run",
        action="resume_run",
        in_footer=True,
    ),
    Command(
        keys="r",
        key_label="r",
        name="Runs",
        description="List all runs: open, resume, compare, delete",
        group="Run",
        action="runs",
        in_footer=True,
    ),
    *(
        Command(
            keys=str(number),
            key_label=str(number),
            name=pane.capitalize(),
            description=f"Go to {pane.capitalize()}",
            group="Panes",
            action="show_pane",
            arguments=(pane,),
        )
        for number, pane in enumerate(PANES, start=1)
    ),
    Command(
        keys="escape",
        key_label="esc",
        name="Leave field",
        description="Leave the field",
        group="Panes",
        action="leave_field",
    ),
    Command(
        keys="left_square_bracket",
        key_label="[",
        name="Previous samples",
        description="Show the previous batch of test images",
        group="View",
        action="sample_batch",
        arguments=(-1,),
    ),
    Command(
        keys="right_square_bracket",
        key_label="]",
        name="Next samples",
        description="Show the next batch of test images",
        group="View",
        action="sample_batch",
        arguments=(1,),
    ),
    Command(
        keys="a",
        key_label="a",
        name="Other chart",
        description="Switch between loss and accuracy where only one chart fits",
        group="View",
        action="other_chart",
    ),
    Command(
        keys="l",
        key_label="l",
        name="Log scale",
        description="Switch the loss chart between linear and log scale",
        group="View",
        action="log_scale",
    ),
    Command(
        keys="z",
        key_label="z",
        name="Smoothing",
        description="Cycle smoothing",
        group="View",
        action="smoothing",
    ),
    Command(
        keys="plus,equals_sign",
        key_label="+",
        name="Zoom in",
        description="Zoom in on the latest part of the charts",
        group="View",
        action="zoom",
        arguments=(1,),
    ),
    Command(
        keys="minus",
        key_label="-",
        name="Zoom out",
        description="Zoom out of the charts",
        group="View",
        action="zoom",
        arguments=(-1,),
    ),
    Command(
        keys="question_mark,f1",
        key_label="?",
        name="Help",
        description="Show all keys",
        group="Program",
        action="help",
        in_footer=True,
    ),
    Command(
        keys="ctrl+p",
        key_label="^p",
        name="Palette",
        description="Find a command by name",
        group="Program",
        action="command_palette",
        in_footer=True,
        everywhere=True,
    ),
    Command(
        keys="ctrl+z",
        key_label="^z",
        name="Suspend",
        description="Suspend (pauses training)",
        group="Program",
        action="suspend",
        everywhere=True,
    ),
    Command(
        keys="q",
        key_label="q",
        name="Quit",
        description="Quit; asks first while a run is active",
        group="Program",
        action="quit",
        in_footer=True,
    ),
    Command(
        keys="ctrl+c,ctrl+q",
        key_label="^c",
        name="Quit",
        description="Quit, also from a field",
        group="Program",
        action="quit",
        everywhere=True,
    ),
)


def is_enabled(action: str, parameters: tuple[object, ...], run: RunSource | None) -> bool:
    """Whether the app's `action` does something while `run` is shown."""
    match action:
        case "request":
            return run is not None and is_allowed(
                Request(str(parameters[0])),
                run.snapshot(),
                live=run.live,
                can_evaluate_saved=run.can_evaluate_saved,
            )
        case "train":
            return run is None or not run.live
        case "detach":
            return run is not None and run.live and run.folder is not None
        case "resume_run":
            return run is not None and not run.live and run.folder is not None
        case _:
            return True


def bindings() -> list[Binding]:
    """Return the key bindings of the app."""
    return [
        # with priority they act before the next key is read: keys typed ahead end up in the right field
        Binding("tab", "focus_next", "Next field", show=False, priority=True),
        Binding("shift+tab", "focus_previous", "Previous field", show=False, priority=True),
        *(
            Binding(
                command.keys,
                command.call,
                command.footer_name or command.name,
                show=command.in_footer,
                key_display=command.key_label,
                priority=command.everywhere,
            )
            for command in COMMANDS
        ),
    ]


def notice_of(request: Request) -> str:
    """Return what to notify the user of when `request` is made, or ""."""
    return next(command.notice for command in COMMANDS if command.request is request)


def palette_commands() -> list[Command]:
    """Return the commands of the palette: each action once."""
    return list({command.call: command for command in reversed(COMMANDS)}.values())[::-1]
