"""What all dialogs share, and a question with its answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from cifar_tui.engine.text import escaped

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A modal dialog; q and ctrl+c close it instead of quitting."""

    def leave(self) -> None:
        """Close on a quit key."""
        self.dismiss(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer to a question.

    Attributes:
        id: what the dialog is dismissed with.
        keys: Textual's names of its keys, separated by commas.
        label: what its button says; the first word is its key.
        harmless: whether it has the focus at first, so that enter gives it.
    """

    id: str
    keys: str
    label: str
    harmless: bool = False


class AnswerRow(Horizontal):
    """Answers beside each other, or below each other where they need more than a row."""

    def on_resize(self) -> None:
        width = sum(answer.outer_size.width + answer.styles.margin.width for answer in self.children)
        self.set_class(width > self.size.width, "-stacked")


class Question(Dialog[str]):
    """Asks the user; dismissed with the id of the answer, or None.

    Every answer has a key, and arrows move between the answers.

    Args:
        title: on the frame.
        text: above the answers; "" for none.
        answers: in the order shown.
    """

    AUTO_FOCUS = ""  # Textual would focus nothing while the terminal is in the background

    def __init__(self, title: str, text: str, answers: Iterable[Answer]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._answers = tuple(answers)
        for answer in self._answers:
            # with priority, so that keys typed ahead reach what the answer focuses
            self._bindings.bind(answer.keys, f"answer({answer.id!r})", answer.label, priority=True)
        self._bindings.bind("left,up", "app.focus_previous", "Previous answer")
        self._bindings.bind("right,down", "app.focus_next", "Next answer")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(escaped(self._title))
            if self._text:
                yield Static(self._text, markup=False)
            yield from self.compose_body()
            with AnswerRow():
                for answer in self._answers:
                    key, _, words = answer.label.partition(" ")
                    label = Content.assemble((key, "bold underline"), f" {words}")
                    yield Button(
                        label, id=answer.id, variant="primary" if answer.harmless else "default", compact=True
                    )

    def compose_body(self) -> Iterable[Widget]:
        """Yield widgets between the text and the answers."""
        return ()

    def first_focus(self) -> Widget:
        """Return what has the focus at first: the harmless answer."""
        return self.query_one(f"#{next(answer.id for answer in self._answers if answer.harmless)}")

    def on_mount(self) -> None:
        self.set_focus(self.first_focus())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_answer(str(event.button.id))

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)
