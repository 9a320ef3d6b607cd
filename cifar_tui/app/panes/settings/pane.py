"""The form in which a run is set up: every field is checked when it is left."""

import dataclasses

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantBlur, DescendantFocus
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import (
    DATA_KEYWORDS,
    SETTINGS,
    Setting,
    TrainConfig,
    build_config,
    parse_setting,
)
from cifar_tui.engine.errors import ConfigError

_HINT = "t trains · tab moves on · esc leaves a field"
_FIRST_ROWS = 16
_LOCKED = "locked while the run is live"
_SUGGESTIONS: dict[str, tuple[str, ...]] = {
    "data": DATA_KEYWORDS,
    "device": ("auto", "cpu", "cuda", "cuda:0", "mps"),
}


class SettingRow(Vertical):
    """One setting: its label, its field and, when the value is wrong, the reason below.

    Attributes:
        setting: its name.
        field: the widget that holds the value.
    """

    def __init__(self, name: str, value: Setting) -> None:
        super().__init__(id=f"setting-{name}")
        self.setting = name
        # made at once: a row that is being mounted is already written to, read and locked
        self.field = _field(name, value)
        self._reason = Label(classes="setting-error", markup=False)
        self._reason.display = False

    def compose(self) -> ComposeResult:
        """Label and field side by side, the reason below."""
        with Horizontal():
            yield Label(SETTINGS[self.setting].metadata["label"], classes="setting-label")
            yield self.field
        yield self._reason

    @property
    def _focus_sort_key(self) -> tuple[int, int]:
        """In the order of the settings: a row that has no place on the screen yet would come first."""
        return list(SETTINGS).index(self.setting), 0

    def read(self) -> Setting:
        """The value in the field.

        Raises:
            ConfigError: it is wrong.
        """
        return parse_setting(self.setting, str(self.field.value))

    def write(self, value: Setting) -> None:
        """Put `value` into the field."""
        self.field.value = _text(value)
        self.check()

    def check(self) -> bool:
        """Whether the value is right; says below the field why it is not."""
        try:
            self.read()
        except ConfigError as error:
            self.show_error(str(error).removeprefix(f"{self.setting} "))
            return False
        self.show_error("")
        return True

    def show_error(self, reason: str) -> None:
        """Say below the field why its value is wrong; "" if it is right."""
        self._reason.update(f"✗ {reason}")
        self._reason.display = bool(reason)
        self.set_class(bool(reason), "-wrong")


class SettingsPane(Pane):
    """All settings of the next run; locked while one is live."""

    BORDER_TITLE = "1 Settings"
    BINDINGS = VerticalScroll.BINDINGS
    can_focus = True
    locked: reactive[bool] = reactive(default=False)

    def __init__(self, config: TrainConfig, *, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._config = config
        self._preset = config.preset

    def compose(self) -> ComposeResult:
        """The first rows; the others follow when these are on the screen, which does not wait for them."""
        for name in list(SETTINGS)[:_FIRST_ROWS]:
            yield SettingRow(name, getattr(self._config, name))
        yield Static(id="settings-hint")

    def on_mount(self) -> None:
        """Have the other rows made."""
        self.call_after_refresh(self._make_other_rows)

    async def _make_other_rows(self) -> None:
        if not self.is_attached:  # the program is already being left
            return
        rows = [SettingRow(name, getattr(self._config, name)) for name in list(SETTINGS)[_FIRST_ROWS:]]
        for row in rows:
            row.field.disabled = self.locked
        await self.mount_all(rows, before="#settings-hint")

    def read(self) -> TrainConfig | None:
        """The settings in the form; None when one is wrong, and then the cursor is in its field."""
        wrong = [row for row in self._rows() if not row.check()]
        if wrong:
            wrong[0].field.focus()
            return None
        # a setting that has no row yet is as it was given
        values = dataclasses.asdict(self._config) | {row.setting: row.read() for row in self._rows()}
        try:
            return build_config(values)
        except ConfigError as error:  # two settings that do not go together
            row = self._row(error.field)
            row.show_error(str(error).removeprefix(f"{row.setting} "))
            row.field.focus()
            return None

    def set(self, name: str, value: Setting) -> None:
        """Put `value` into the field of the setting `name`."""
        if self.query(f"#setting-{name}"):
            self._row(name).write(value)
        else:  # its row is made with the value
            self._config = self._config.replace(**{name: value})

    def show(self, config: TrainConfig) -> None:
        """Put all settings of `config` into the form."""
        self._config, self._preset = config, config.preset
        for name in SETTINGS:
            self.set(name, getattr(config, name))

    def watch_locked(self, locked: bool) -> None:
        """Let the fields be edited, or not."""
        for row in self._rows():
            row.field.disabled = locked
        self._show_hint()
        self.set_class(locked, "-locked")

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Say what the field is about."""
        del event
        self._show_hint()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Check the field that was left."""
        row = _row_around(event.widget)
        if row is not None:
            row.check()
            self._show_hint()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Fill in the settings of a preset that was chosen."""
        # the field also says so when it is first filled, and then the other settings are as they should be
        if event.select is self._row("preset").field and event.value != self._preset:
            self._preset = str(event.value)
            for name, value in PRESETS[self._preset].items():
                self.set(name, value)

    def _show_hint(self) -> None:
        """Say what the field with the cursor is about: which of two fields tells first of a move is open."""
        focused = self.screen.focused
        row = _row_around(focused) if focused is not None else None
        text = _LOCKED if self.locked else _HINT
        if row is not None and not self.locked:
            text = f"{SETTINGS[row.setting].metadata['description']}\n{_HINT}"
        self.query_one("#settings-hint", Static).update(text)

    def _rows(self) -> list[SettingRow]:
        return list(self.query(SettingRow))

    def _row(self, name: str) -> SettingRow:
        return self.query_one(f"#setting-{name}", SettingRow)


def _row_around(widget: Widget) -> SettingRow | None:
    return next((node for node in widget.ancestors if isinstance(node, SettingRow)), None)


def _field(setting: str, value: Setting) -> "Input | Select[str]":
    """A widget that holds the value of a setting."""
    choices = SETTINGS[setting].metadata.get("choices")
    if choices is not None:
        return Select.from_values(choices, value=_text(value), allow_blank=False, compact=True)
    suggestions = _SUGGESTIONS.get(setting)
    return Input(_text(value), compact=True, suggester=SuggestFromList(suggestions) if suggestions else None)


def _text(value: Setting) -> str:
    """`value` as the form shows it."""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
