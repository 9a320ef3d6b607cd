"""The questions: quit, no images; and the recap of a run."""

import time
from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Input, Label

from cifar_tui.app.dialogs.dialog import Answer, Question
from cifar_tui.app.widgets.text_input import TextInput
from cifar_tui.engine.data.registry import PUBLISHED_PREFIX, SOURCES
from cifar_tui.engine.events import Phase
from cifar_tui.engine.text import escaped

_ACTIVE = {Phase.TRAINING: "Training is running", Phase.PAUSED: "Training is paused"}


class QuitDialog(Question):
    """Asks what to do with an active run: "stop", "detach" or "stay".

    Args:
        phase: what the run is doing.
        can_detach: whether the run can continue without a screen, which it can once it has a folder.
        name: of the run, if another one is shown; else "".
    """

    def __init__(self, phase: Phase, *, can_detach: bool, name: str = "") -> None:
        stay = Answer(id="stay", keys="escape,n", label="esc stay", harmless=True)
        if can_detach:
            keep = "keep it paused and leave" if phase is Phase.PAUSED else "keep it running and leave"
            answers = (
                Answer(id="detach", keys="d", label=f"d {keep}"),
                Answer(id="stop", keys="y,q", label="y save, stop, leave"),
                stay,
            )
            title = _ACTIVE.get(phase, "A run is active")
            super().__init__(f"{title}: {name}" if name else title, "", answers)
        else:
            stop = Answer(id="stop", keys="y,q", label="y stop and leave")
            super().__init__("A run is active", "Nothing to save yet.", (stop, stay))

    def leave(self) -> None:
        """Take a second ctrl+c for a yes."""
        self.dismiss("stop")


class RecapDialog(Question):
    """Shows `lines` until any answer."""

    def __init__(self, lines: list[str]) -> None:
        close = Answer(id="close", keys="escape,q,space", label="enter close", harmless=True)
        super().__init__("While you were away", "\n".join(map(escaped, lines)), (close,))


class DataDialog(Question):
    """Offers ways to get images; dismissed with the data setting to start again with, or None.

    A failed download can be retried; the path of a folder is kept to be corrected.

    Args:
        reason: why there are none.
        data: the data setting that failed.
        attempt: how often it failed, so that a retry is seen to have tried.
    """

    def __init__(self, reason: str, data: str, *, attempt: int = 1) -> None:
        self._data = data
        self._is_folder = data not in SOURCES
        name = data.removeprefix(PUBLISHED_PREFIX) if data.startswith(PUBLISHED_PREFIX) else "CIFAR-10"
        title = "These images cannot be used" if self._is_folder else f"{name} is not available"
        answers = (
            Answer(id="retry", keys="r", label="r Retry", harmless=True),
            Answer(id="folder", keys="f", label="f Choose a folder"),
            Answer(id="synthetic", keys="s", label="s Use synthetic images (offline)"),
            Answer(id="cancel", keys="escape", label="esc Cancel"),
        )
        reason = escaped(reason)
        if attempt > 1:
            reason = f"Attempt {attempt} at {time.strftime('%H:%M:%S')} failed as well.\n{reason}"
        super().__init__(title, reason, answers[1:] if self._is_folder else answers)

    def compose_body(self) -> Iterable[Widget]:
        yield Label("A folder with CLASS/, or train/CLASS/ and test/CLASS/:")
        path = self._data if self._is_folder else ""
        yield TextInput(
            path, placeholder="/path/to/images", compact=True, select_on_focus=False, id="data-folder"
        )

    def first_focus(self) -> Widget:
        return self.query_one(Input) if self._is_folder else super().first_focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Take letters for text while the folder is typed."""
        return action != "answer" or parameters == ("cancel",) or not isinstance(self.focused, Input)

    def on_input_submitted(self) -> None:
        self.action_answer("folder")

    def action_answer(self, answer: str) -> None:
        match answer:
            case "retry":
                self.dismiss(self._data)
            case "synthetic":
                self.dismiss("synthetic")
            case "cancel":
                self.dismiss(None)
            case _:
                field = self.query_one(Input)
                if field.value.strip():
                    self.dismiss(field.value.strip())
                else:
                    self.set_focus(field)
