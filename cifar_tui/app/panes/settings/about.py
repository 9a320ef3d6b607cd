"""What the form says about the row that has the cursor."""

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.content import Content
from textual.geometry import Size

from cifar_tui.app.panes.settings.form import Form, Row
from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.text import escaped

_LOCKED = "Settings cannot be changed while a run is active or shown read-only"


def hint(form: Form, row: Row | None, *, locked: bool, explained: bool, size: Size) -> Content:
    """Describe the row that has the cursor, or what is wrong with it, and below it the keys that work there.

    Args:
        form: the form.
        row: the row that has the cursor; None without one.
        locked: whether nothing can be changed.
        explained: whether the description is also shown elsewhere, so that it is left out.
        size: what there is room for; the description is cut to it, the keys are not.
    """
    if row is None:
        return Content(_LOCKED if locked else "press 1 to edit · / to find · t to train")
    width = max(1, size.width)
    keys = Content(_LOCKED if locked else _keys(form, row)).wrap(width)
    if len(keys) >= size.height and not locked:
        keys = Content(_keys(form, row, short=True)).wrap(width)
    lines = _description(form, row, explained=explained).wrap(width)
    room = max(0, size.height - len(keys))
    if 0 < room < len(lines):
        lines[room - 1] = Content.assemble(lines[room - 1].truncate(width - 1), "…")
    return Content("\n").join([*lines[:room], *keys])


def about(form: Form, row: Row) -> Group:
    """Explain the preset and the row that has the cursor."""
    preset = form.text("preset")
    parts = [Text.assemble(("preset ", "dim"), (preset, "bold")), Text(_explained("preset")[preset])]
    if form.changed:
        parts.append(
            Text(f"● {form.changed} {'setting differs' if form.changed == 1 else 'settings differ'} from it")
        )
    name = row.setting
    if name is None:
        return Group(*parts)
    if name != "preset":
        parts += [Text(), Text(name, "bold"), Text(str(SETTINGS[name].metadata["description"]))]
    return Group(*parts, Text(), _choices(form, name))


def _description(form: Form, row: Row, *, explained: bool) -> Content:
    if form.notice:
        return Content(form.notice)
    if row.setting is None:
        return Content(escaped(f"{row.group}: {form.summary(row.group)}"))
    wrong = form.errors.get(row.setting)
    if wrong:
        return Content.styled(escaped(f"✗ {wrong}"), "$text-error")
    return Content("" if explained else str(SETTINGS[row.setting].metadata["description"]))


def _keys(form: Form, row: Row, *, short: bool = False) -> str:
    if row.setting is None:
        keys = ["↑↓ move", f"enter {'fold' if row.is_open else 'unfold'}"]
    elif not form.is_text(row.setting):
        keys = ["↑↓ move", "←→ change", "enter choose"]
    else:
        keys = ["↑↓ move", "enter accept", "^t train"]
    if row.setting is not None and form.text(row.setting) != form.initial(row.setting):
        keys.append("^r reset" if short else f"^r reset to {form.initial(row.setting)}")
    return " · ".join([*keys, "esc leave"])


def _explained(name: str) -> dict[str, str]:
    choices: dict[str, str] = SETTINGS[name].metadata["choices"]
    return choices


def _choices(form: Form, name: str) -> Table:
    """The choices of a setting below each other, the present one marked."""
    table = Table.grid(padding=(0, 1))
    for choice, text in _explained(name).items():
        current = choice == form.text(name)
        table.add_row(">" if current else " ", Text(choice, "bold" if current else ""), Text(text, "dim"))
    others: dict[str, str] = SETTINGS[name].metadata["others"]
    begun = form.text(name).partition(":")[0] + ":"
    typed = [other for other in others if other.startswith(begun)] or list(others)[-1:]
    for other, text in others.items():
        current = form.is_text(name) and other in typed
        table.add_row(">" if current else " ", Text(other), Text(text, "dim"))
    return table
