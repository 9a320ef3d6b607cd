"""Questions the program asks, and what it tells once, in boxes over a screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from cifar_tui.app.commands import FIELD_BINDINGS
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.runs.listing import printable


class QuitDialog(Dialog[str]):
    """Asks what becomes of a live run: "stop", "detach" or "stay".

    Args:
        may_detach: whether the run can go on without a screen, which takes a folder of its own.
    """

    AUTO_FOCUS = "#stay"
    BINDINGS: ClassVar[list[BindingType]] = [
        *FIELD_BINDINGS,
        ("escape,n", "answer('stay')", "Go on"),
        ("y,q", "answer('stop')", "Stop it and leave"),
        ("d", "answer('detach')", "Detach"),
    ]

    def __init__(self, *, may_detach: bool) -> None:
        super().__init__()
        self._may_detach = may_detach

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        question = "Stop it, save it and leave? Detached, it goes on without a screen."
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "A run is live"
            yield Static(question if self._may_detach else "It has nothing to save yet. Stop it and leave?")
            with Horizontal(classes="dialog-buttons"):
                yield Button(
                    "Stop and save (y)" if self._may_detach else "Stop (y)",
                    id="stop",
                    variant="warning",
                    compact=True,
                )
                if self._may_detach:
                    yield Button("Detach (d)", id="detach", compact=True)
                yield Button("Stay (esc)", id="stay", variant="primary", compact=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Take no answer that is not offered."""
        return self._may_detach or (action, parameters) != ("answer", ("detach",))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer of the button."""
        self.dismiss(event.button.id)

    def action_answer(self, answer: str) -> None:
        """Give the answer of a key."""
        self.dismiss(answer)

    def leave(self) -> None:
        """PendingRequest again, leave."""
        self.dismiss("stop")


class DeleteDialog(Dialog[bool]):
    """Asks whether the run `name` is to be deleted; true if so."""

    AUTO_FOCUS = "#keep"
    BINDINGS: ClassVar[list[BindingType]] = [
        *FIELD_BINDINGS,
        ("escape,n,q", "answer(False)", "Keep"),
        ("y", "answer(True)", "Delete"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run = name

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Delete a run"
            text = f"Delete run {printable(self._run)} with its weights, checkpoints and log, for good?"
            yield Static(text, markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Delete (y)", id="delete", variant="error", compact=True)
                yield Button("Keep (esc)", id="keep", variant="primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer of the button."""
        self.dismiss(event.button.id == "delete")

    def action_answer(self, delete: bool) -> None:
        """Give the answer of a key."""
        self.dismiss(delete)


class AwayDialog(Dialog[None]):
    """Tells what happened since the last look.

    Args:
        lines: what happened.
    """

    AUTO_FOCUS = "#on"
    BINDINGS: ClassVar[list[BindingType]] = [
        *FIELD_BINDINGS,
        ("escape,q,space", "dismiss", "Close"),
    ]

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The lines and a way on."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "While you were away"
            yield Static("\n".join(self._lines), markup=False, id="away")
            with Horizontal(classes="dialog-buttons"):
                yield Button("To the run (enter)", id="on", variant="primary", compact=True)

    def on_button_pressed(self) -> None:
        """Go on to the run."""
        self.dismiss()


class DataDialog(Dialog[str | None]):
    """Offers the ways to images when there are none: the data setting to start again with, or None.

    Args:
        reason: why there are none.
        data: the data setting that failed, for another try.
    """

    AUTO_FOCUS = "#again"
    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_BINDINGS, ("escape", "cancel", "Cancel")]

    def __init__(self, reason: str, data: str) -> None:
        super().__init__()
        self._reason = reason
        self._data = data

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="dialog", id="data-dialog") as dialog:
            dialog.border_title = "There are no images"
            yield Static(self._reason, markup=False, id="data-reason")
            yield Label("A folder of images, train/<class>/… and test/<class>/…:")
            yield Input(placeholder="path of the folder; enter takes it", compact=True, id="data-folder")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Try again", id="again", variant="primary", compact=True)
                yield Button("Use the folder", id="folder", compact=True)
                yield Button("Use synthetic images", id="synthetic", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go the way of the button."""
        match event.button.id:
            case "again":
                self.dismiss(self._data)
            case "synthetic":
                self.dismiss("synthetic")
            case "folder":
                self._take_folder()
            case _:
                self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Take the folder that was typed."""
        self._take_folder()

    def action_cancel(self) -> None:
        """Leave things as they are."""
        self.dismiss(None)

    def _take_folder(self) -> None:
        folder = self.query_one("#data-folder", Input)
        if folder.value.strip():
            self.dismiss(folder.value.strip())
        else:
            folder.focus()
