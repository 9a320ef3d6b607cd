"""The table of commands, from which keys, footer, palette and help are made."""

from collections.abc import Callable
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import format_key

from cifar_tui.app.views.train import PANES
from cifar_tui.app.widgets.ranks_line import ranks_of
from cifar_tui.engine.events import Phase
from cifar_tui.runs.control.protocol import Request, is_allowed
from cifar_tui.runs.resume_config import has_finished
from cifar_tui.runs.source import RunSource
from cifar_tui.runs.state import PendingRequest


@dataclass(frozen=True, slots=True)
class Command:
    """Something the user can do.

    Attributes:
        keys: Textual's names of the keys, separated by commas.
        name: one or two words, for the palette.
        description: one line, for the palette and the help screen.
        action: the app's action, as in `action_…`.
        arguments: what the action is called with.
        request: what it requests of the run; then no action is needed.
        notice: shown when the request is made, if its effect would not show at once.
        footer: its name in the footer, where there is room; "" to leave it out.
        everywhere: whether its key works while a field has the focus, too.
    """

    keys: str
    name: str
    description: str
    action: str = "request"
    arguments: tuple[str | int, ...] = ()
    request: Request | None = None
    notice: str = ""
    footer: str = ""
    everywhere: bool = False

    @property
    def key_label(self) -> str:
        """The first key as the user sees it."""
        return _label(self.keys.partition(",")[0])

    @property
    def parameters(self) -> tuple[str | int, ...]:
        """What the action is called with, as `check_action` gets it."""
        return self.arguments if self.request is None else (self.request.value,)

    @property
    def call(self) -> str:
        """The action as Textual parses it, such as `zoom(1)`."""
        return f"{self.action}({', '.join(map(repr, self.parameters))})"


def _label(key: str) -> str:
    return f"^{key[-1]}" if key.startswith("ctrl+") else format_key(key)


def _show_pane(number: int, name: str) -> Command:
    return Command(str(number), name.capitalize(), f"Go to {name.capitalize()}", "show_pane", (name,))


COMMAND_GROUPS: dict[str, tuple[Command, ...]] = {
    "Run": (
        Command("t", "Train", "Train with the settings in the form", "train", footer="Train"),
        Command("ctrl+t", "Train", "Train, even while editing a field", "train", everywhere=True),
        Command("space", "Pause", "Pause training", "toggle_pause", ("pause",), footer="Pause"),
        Command(
            "space", "Resume", "Resume training after a pause", "toggle_pause", ("resume",), footer="Resume"
        ),
        Command(
            "c",
            "Checkpoint",
            "Save a checkpoint now",
            request=Request.SAVE,
            notice="Saving checkpoint…",
        ),
        Command("s", "Stop", "Save and stop (while loading: cancel)", request=Request.STOP, footer="Stop"),
        Command("e", "Evaluate", "Evaluate on the test set", request=Request.EVALUATE, footer="Evaluate"),
        Command("d", "Detach", "Quit the dashboard, keep training", "detach", footer="Detach"),
        Command("u", "Resume run", "Resume from the last checkpoint", "resume_run", footer="Resume run"),
        Command(
            "ctrl+l",
            "Learning-rate range test",
            "Find a learning rate: train briefly while it rises, save nothing",
            "range_test",
            everywhere=True,
        ),
        Command("v,f2", "Results", "See what the net gets wrong", "results", footer="Results"),
        Command("r,f3", "Runs", "List all runs: open, resume, compare, delete", "runs", footer="Runs"),
        Command(
            "escape",
            "Back",
            "Return to the run that this dashboard trains",
            "back_to_own_run",
            footer="Back",
        ),
    ),
    "Panes": (
        *(_show_pane(number, name) for number, name in enumerate(PANES, start=1)),
        Command("m", "Maximise", "Maximise the pane", "maximise", footer="Maximise"),
        Command("m", "All panes", "Show all panes again", "show_all_panes", footer="All panes"),
        Command("slash", "Find setting", "Find a setting by name", "find_setting"),
        Command("escape", "Back", "Hide the cursor of the charts, or show all panes again", "step_back"),
    ),
    "View": (
        Command(
            "left_square_bracket",
            "Previous samples",
            "Show the previous batch of test images",
            "sample_batch",
            (-1,),
        ),
        Command(
            "right_square_bracket", "Next samples", "Show the next batch of test images", "sample_batch", (1,)
        ),
        Command("w", "Wrong only", "Show only test images that are not recognised, or all", "wrong_samples"),
        Command("a", "Other chart", "Show the next chart (if there is no room for all)", "other_chart"),
        Command("l", "Log scale", "Switch the loss chart between linear and log scale", "log_scale"),
        Command("z", "Smoothing", "Cycle smoothing", "smoothing"),
        Command("plus,equals_sign", "Zoom in", "Zoom in on the latest steps or the cursor", "zoom", (1,)),
        Command("minus", "Zoom out", "Zoom out", "zoom", (-1,)),
        Command("comma", "Earlier steps", "Show earlier steps, when zoomed in", "pan", (-1,)),
        Command("full_stop", "Later steps", "Show later steps, when zoomed in", "pan", (1,)),
        Command("x", "Cursor", "Read the charts at a cursor (← → move it, esc leaves)", "chart_cursor"),
        Command(
            "y", "Copy", "Copy what is at the cursor: a setting, an image, a chart's point", "copy_value"
        ),
        Command("X", "X axis", "Switch the x axis between steps, epochs and training time", "x_axis"),
        Command("p", "Processes", "Show the speed and the waits of each process of a job", "processes"),
    ),
    "Program": (
        Command("question_mark", "Help", "Show all keys", "help", footer="Help"),
        Command(
            "ctrl+p",
            "Palette",
            "Find a command by name",
            "command_palette",
            everywhere=True,
        ),
        Command("ctrl+z", "Suspend", "Suspend (pauses training)", "suspend", everywhere=True),
        Command("q", "Quit", "Quit; asks first while a run is active", "quit", footer="Quit"),
        Command("ctrl+c,ctrl+q", "Quit", "Quit, even while editing a field", "quit", everywhere=True),
    ),
}
"""The commands below their headings in the help screen."""

_STEERING = frozenset({"request", "toggle_pause", "train", "range_test", "detach", "resume_run"})
"""Actions on the run that is shown, unless it is shown read-only."""

COMMANDS = tuple(command for commands in COMMAND_GROUPS.values() for command in commands)


def is_enabled(
    action: str,
    parameters: tuple[object, ...],
    run: RunSource | None,
    *,
    read_only: bool = False,
    form_epochs: Callable[[], int] = lambda: 0,
) -> bool:
    """Whether the app's `action` does something while `run` is shown.

    Args:
        action: the action.
        parameters: what it is called with.
        run: the run that is shown.
        read_only: whether it is shown while this process works on another one.
        form_epochs: gives the epochs in the form, which a finished run needs more of to be resumed.
    """
    match action:
        case _ if read_only and action in _STEERING:
            return False
        case "back_to_own_run" | "explain_read_only":
            return read_only
        case "request":
            return run is not None and is_allowed(
                Request(str(parameters[0])),
                run.snapshot(),
                live=run.live,
                can_evaluate_saved=run.can_evaluate_saved,
            )
        case "toggle_pause":
            if run is None or not is_allowed(Request.TOGGLE_PAUSE, run.snapshot(), live=run.live):
                return False
            snapshot = run.snapshot()
            paused = snapshot.phase is Phase.PAUSED or snapshot.pending is PendingRequest.PAUSE
            return parameters == ("resume" if paused else "pause",)
        case "train" | "range_test":
            return run is None or not run.live
        case "results":
            return run is not None and (run.live or run.snapshot().evaluated is not None)
        case "processes":
            return run is not None and bool(ranks_of(run.snapshot()))
        case "detach":
            return run is not None and run.live and run.folder is not None
        case "resume_run":
            if run is None or run.live or run.folder is None:
                return False
            return not has_finished(run.snapshot()) or form_epochs() > run.config.epochs
        case _:
            return True


def bindings() -> list[Binding]:
    """Return the key bindings of the app."""
    return [
        # with priority they act before the next key is read: keys typed ahead end up in the right field
        Binding("tab", "focus_next", "Next field", show=False, priority=True),
        Binding("shift+tab", "focus_previous", "Previous field", show=False, priority=True),
        *(
            # a binding for each key: in a text a letter is none, and the footer says the other one
            Binding(
                key,
                command.call,
                command.footer or command.name,
                show=bool(command.footer),
                key_display=_label(key),
                priority=command.everywhere,
                tooltip=command.description,
            )
            for command in COMMANDS
            for key in command.keys.split(",")
        ),
        *(
            Binding(command.keys, "explain_read_only", show=False)
            for command in COMMANDS
            if command.action in _STEERING
        ),
    ]


def notice_of(request: Request) -> str:
    """Return what to notify the user of when `request` is made, or ""."""
    return next((command.notice for command in COMMANDS if command.request is request), "")


def palette_commands() -> list[Command]:
    """Return the commands of the palette: each action once."""
    commands = list({command.call: command for command in reversed(COMMANDS)}.values())[::-1]
    return [command for command in commands if command.action != "command_palette"]
