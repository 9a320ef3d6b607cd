"""One table of commands: keys, footer, palette and help screen are all made from it."""

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Something the user can do.

    Attributes:
        action: the app's action, as in `action_…`, with its arguments.
        key: Textual's name of the key; several are separated by commas.
        key_label: the key as the user sees it.
        name: one or two words, for the footer and the palette.
        description: a sentence, for the palette and the help screen.
        group: the heading it stands under in the help screen.
        in_footer: whether the footer shows it, where there is room.
        footer_name: its name there, where `name` is too long.
        everywhere: whether its key works while a field is typed in, too.
    """

    action: str
    key: str
    key_label: str
    name: str
    description: str
    group: str
    in_footer: bool = False
    footer_name: str = ""
    everywhere: bool = False


PANES = ("settings", "training", "samples", "summary", "log")
"""The panes in the order of their numbers, from 1."""

COMMANDS = (
    Command(
        action="train",
        key="t",
        key_label="t",
        name="Train",
        description="Train with the settings in Configuration",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="pause_or_resume",
        key="space",
        key_label="space",
        name="Pause",
        description="Pause training between two steps, or let it go on",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="save",
        key="c",
        key_label="c",
        name="Checkpoint",
        footer_name="Save",
        description="Write a checkpoint now",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="stop",
        key="s",
        key_label="s",
        name="Stop",
        description="Save and stop the run; cancels loading",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="evaluate",
        key="e",
        key_label="e",
        name="Evaluate",
        description="Evaluate on all test images: now between two steps, or the saved weights after training",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="detach",
        key="d",
        key_label="d",
        name="Detach",
        description="Leave the screen; the run goes on, and 'cifar-tui attach' comes back to it",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="resume_run",
        key="u",
        key_label="u",
        name="Resume run",
        description="Go on with the run that is shown, from its last checkpoint",
        group="Run",
        in_footer=True,
    ),
    Command(
        action="runs",
        key="r",
        key_label="r",
        name="Runs",
        description="Show all runs: open, resume, compare and delete them",
        group="Run",
        in_footer=True,
    ),
    *(
        Command(
            action=f"show_pane('{pane}')",
            key=str(number),
            key_label=str(number),
            name=pane.capitalize(),
            description=f"Go to {pane.capitalize()}",
            group="Panes",
        )
        for number, pane in enumerate(PANES, start=1)
    ),
    Command(
        action="leave_field",
        key="escape",
        key_label="esc",
        name="Leave field",
        description="Leave a field, so that keys are commands again",
        group="Panes",
    ),
    Command(
        action="sample_batch(-1)",
        key="left_square_bracket",
        key_label="[",
        name="Previous samples",
        description="Show the previous batch of test images",
        group="View",
    ),
    Command(
        action="sample_batch(1)",
        key="right_square_bracket",
        key_label="]",
        name="Next samples",
        description="Show the next batch of test images",
        group="View",
    ),
    Command(
        action="other_chart",
        key="a",
        key_label="a",
        name="Other chart",
        description="Where there is room for one chart only, change between loss and accuracy",
        group="View",
    ),
    Command(
        action="log_scale",
        key="l",
        key_label="l",
        name="Log scale",
        description="Switch the loss chart between a linear and a logarithmic scale",
        group="View",
    ),
    Command(
        action="smoothing",
        key="z",
        key_label="z",
        name="Smoothing",
        description="Smooth the curves more, or not at all",
        group="View",
    ),
    Command(
        action="zoom(1)",
        key="plus,equals_sign",
        key_label="+",
        name="Zoom in",
        description="Show only the latest part of the charts",
        group="View",
    ),
    Command(
        action="zoom(-1)",
        key="minus",
        key_label="-",
        name="Zoom out",
        description="Show more of the charts again",
        group="View",
    ),
    Command(
        action="help",
        key="question_mark,f1",
        key_label="?",
        name="Help",
        description="Show all keys",
        group="Program",
        in_footer=True,
    ),
    Command(
        action="command_palette",
        key="ctrl+p",
        key_label="^p",
        name="Palette",
        description="Find a command by its name",
        group="Program",
        in_footer=True,
        everywhere=True,
    ),
    Command(
        action="suspend",
        key="ctrl+z",
        key_label="^z",
        name="Suspend",
        description="Back to the shell; a training waits until the program is in the foreground again",
        group="Program",
        everywhere=True,
    ),
    Command(
        action="quit",
        key="q",
        key_label="q",
        name="Quit",
        description="Leave; asks while a run is live, then stops and saves it",
        group="Program",
        in_footer=True,
    ),
    Command(
        action="quit",
        key="ctrl+c,ctrl+q",
        key_label="^c",
        name="Quit",
        description="The same, from anywhere",
        group="Program",
        everywhere=True,
    ),
)


FIELD_BINDINGS = (
    # with priority they act before the next key is read: what is typed ahead ends up in the right field
    Binding("tab", "app.focus_next", "Next field", show=False, priority=True),
    Binding("shift+tab", "app.focus_previous", "Previous field", show=False, priority=True),
)
"""How every screen moves between its fields."""


def bindings() -> list[Binding]:
    """The key bindings of the app."""
    return [
        Binding(
            command.key,
            command.action,
            command.footer_name or command.name,
            show=command.in_footer,
            key_display=command.key_label,
            priority=command.everywhere,
        )
        for command in COMMANDS
    ]


def palette_commands() -> list[Command]:
    """The commands of the palette: each action once."""
    return list({command.action: command for command in reversed(COMMANDS)}.values())[::-1]
