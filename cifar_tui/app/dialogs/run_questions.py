"""The questions about runs: delete, stop, resume, rename."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static

from cifar_tui.app.dialogs.dialog import Answer, Dialog, Question
from cifar_tui.app.widgets.text_input import TextInput
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import escaped
from cifar_tui.runs.listing import setting_cell
from cifar_tui.runs.resume_config import ResumePlan

_MOST_LISTED = 6


class DeleteDialog(Question):
    """Asks whether to delete the runs `names`, or one `sweep`: "delete" or "keep".

    Runs that are `live` are not deleted.
    """

    def __init__(self, names: Sequence[str], live: Sequence[str] = (), *, sweep: bool = False) -> None:
        answers = (
            Answer(id="delete", keys="y", label="y delete"),
            Answer(id="keep", keys="escape,n,q", label="esc keep", harmless=True),
        )
        text = f"Delete {names[0] if sweep else _runs(names)}? This cannot be undone.{_list(names)}"
        if live:
            text += f"\n\nStill running, so kept: {', '.join(live)}"
        title = "Delete run" if len(names) == 1 else f"Delete {len(names)} runs"
        super().__init__("Delete sweep" if sweep else title, text, answers)


class StopDialog(Question):
    """Asks whether to stop the live runs `names`, or one `sweep`: "stop" or "keep"."""

    def __init__(self, names: Sequence[str], *, sweep: bool = False) -> None:
        answers = (
            Answer(id="stop", keys="s,y", label="s save and stop"),
            Answer(id="keep", keys="escape,n,q", label="esc keep running", harmless=True),
        )
        what = "It is saved first and can" if len(names) == 1 else "They are saved first and can"
        text = f"Stop {_runs(names)}? {what} be resumed later.{_list(names)}"
        title = "Stop run" if len(names) == 1 else f"Stop {len(names)} runs"
        if sweep:
            title = "Stop sweep"
            text = (
                f"Stop {names[0]}? Its runs are saved first, and no others are started. Continue it later "
                "with cifar-tui sweep --resume."
            )
        super().__init__(title, text, answers)


class EpochsDialog(Question):
    """Asks up to which epoch to resume the run `name`: "own", "form" or "cancel".

    Args:
        name: of the run.
        own: the epochs that the run was started with.
        form: the epochs in the form.
        finished: whether the run has trained its own epochs.
    """

    def __init__(self, name: str, *, own: int, form: int, finished: bool) -> None:
        answers = [
            Answer(id="form", keys="f", label=f"f {_epochs(form)}, as in Settings"),
            Answer(id="cancel", keys="escape,n,q", label="esc cancel", harmless=True),
        ]
        if finished:
            text = f"It has trained all its {_epochs(own)}. Continue to {form}?"
        else:
            answers.insert(0, Answer(id="own", keys="o,u", label=f"o {_epochs(own)}, as it was started"))
            text = "Train up to how many epochs?"
        super().__init__(
            f"Resume {name}", f"{text}\nAll other settings of the run stay as they are.", answers
        )


class ResumeDialog(Question):
    """Asks whether to resume the run `name` although some settings in the form do not apply."""

    def __init__(self, name: str, plan: ResumePlan) -> None:
        answers = (
            Answer(id="resume", keys="u,y", label="u resume"),
            Answer(id="cancel", keys="escape,n,q", label="esc cancel", harmless=True),
        )
        lines = [
            f"  {name}: {setting_cell(name, own)}, not {setting_cell(name, form)}"
            for name, (own, form) in plan.kept.items()
        ]
        text = "\n".join(
            [
                *((f"Changes: {plan.changes}",) if plan.changed else ()),
                "A resumed run cannot change these, so they stay:",
                *lines[:_MOST_LISTED],
                *([f"  and {len(lines) - _MOST_LISTED} more"] if len(lines) > _MOST_LISTED else []),
                "To use them, start a new run with t instead.",
            ]
        )
        super().__init__(f"Resume {name}", text, answers)


class RenameDialog(Dialog[str]):
    """Asks for the name of a run; dismissed with it ("" for none), or None.

    Args:
        run: the run's ID.
        name: its name so far, or "".
        check: raises `ConfigError` for a name that cannot be used.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, run: str, name: str, check: Callable[[str], None]) -> None:
        super().__init__()
        self._run = run
        self._run_name = name
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(escaped(f"Name of run {self._run}"))
            yield TextInput(self._run_name, placeholder="empty: no name", compact=True, select_on_focus=False)
            yield Label(id="name-error", markup=False)
            yield Static("enter save · esc cancel", classes="dialog-hint")

    def on_input_changed(self) -> None:
        self.query_one("#name-error", Label).update("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        try:
            if name:
                self._check(name)
        except ConfigError as error:
            self.query_one("#name-error", Label).update(escaped(f"✗ {error}"))
        else:
            self.dismiss(name)

    def action_cancel(self) -> None:
        self.leave()


def _runs(names: Sequence[str]) -> str:
    return f'run "{names[0]}"' if len(names) == 1 else f"these {len(names)} runs"


def _list(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ""
    more = [f"and {len(names) - _MOST_LISTED} more"] if len(names) > _MOST_LISTED else []
    return "\n\n" + "\n".join(f"  {name}" for name in [*names[:_MOST_LISTED], *more])


def _epochs(number: int) -> str:
    return f"{number:,} epoch{'' if number == 1 else 's'}"
