"""The form for the settings of the next run; a field is checked when it loses the focus."""

import contextlib
import dataclasses

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.events import DescendantBlur
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static
from textual.widgets.select import NoSelection

from cifar_tui.app.widgets.pane import ScrollPane
from cifar_tui.engine.config.schema import (
    SETTINGS,
    Setting,
    TrainConfig,
    build_config,
    parse_setting,
    preset_values,
    setting_text,
)
from cifar_tui.engine.errors import ConfigError

_HINT = "tab next field · esc leave the field · t train"
_LOCKED = "Settings are fixed while training"
_FIRST_ROWS = 16
"""Rows mounted with the first frame; mounting all of them would visibly delay it."""


class ChoiceField(Select[str]):
    """A list of choices that may be closed while it is being mounted."""

    def _watch_value(self, value: str | NoSelection) -> None:
        with contextlib.suppress(NoMatches):  # its parts are not composed when the app closes meanwhile
            super()._watch_value(value)


class SettingRow(Vertical):
    """One setting: its label, its field and, below an invalid value, the reason.

    Attributes:
        setting: the key of the setting.
        field: the widget that holds the value.
    """

    def __init__(self, name: str, value: Setting) -> None:
        super().__init__(id=f"setting-{name}")
        self.setting = name
        self._initial = value
        # not in compose: a row is read, written and locked before it is mounted
        self.field = _field(name, value)
        self._reason = Label(classes="setting-error", markup=False)
        self._reason.display = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self.setting.replace("_", " "), classes="setting-label")
            yield self.field
        yield self._reason

    @property
    def _focus_sort_key(self) -> tuple[int, int]:
        """Sort by the order of the settings: a row without a position on the screen yet would come first."""
        return list(SETTINGS).index(self.setting), 0

    def read(self) -> Setting:
        """Parse the value in the field.

        Raises:
            ConfigError: the value is invalid.
        """
        if self.field.value is Select.NULL:  # a Select takes its value when it is mounted
            return self._initial
        return parse_setting(self.setting, str(self.field.value))

    def write(self, value: Setting) -> None:
        """Put `value` into the field."""
        self.field.value = setting_text(value)
        self.check()

    def check(self) -> bool:
        """Return whether the value is valid, and show below the field why it is not."""
        try:
            self.read()
        except ConfigError as error:
            self.show_error(error)
            return False
        self._show_reason("")
        return True

    def show_error(self, error: ConfigError) -> None:
        """Show the reason below the field."""
        self._show_reason(str(error).removeprefix(f"{self.setting} "))

    def _show_reason(self, reason: str) -> None:
        self._reason.update(f"✗ {reason}")
        self._reason.display = bool(reason)
        self.set_class(bool(reason), "-wrong")


class SettingsPane(ScrollPane):
    """All settings of the next run, fixed during a run."""

    DEFAULT_CSS = """
    SettingsPane {
        SettingRow, SettingRow Horizontal { height: auto; }
        .setting-label { width: 45%; min-width: 17; max-width: 25; padding-right: 1; color: $foreground 70%; }
        SettingRow Input, SettingRow Select { width: 1fr; }
        /* so grey that it stays grey among 256 colours */
        SettingRow Input, SettingRow SelectCurrent { background: grey 15%; }
        SettingRow.-wrong .setting-label { text-style: bold; }
        .setting-error { width: 1fr; color: $text-error; }
        #settings-hint {
            dock: bottom;
            height: auto;
            max-height: 3;
            color: $foreground 60%;
            background: $background;
        }
    }
    """

    BORDER_TITLE = "1 Settings"
    locked = reactive(default=False, init=False)

    def __init__(self, config: TrainConfig, *, id: str) -> None:
        super().__init__(id=id)
        self._values: dict[str, Setting] = dataclasses.asdict(config)
        self._preset = config.preset

    def compose(self) -> ComposeResult:
        yield from self._rows(list(SETTINGS)[:_FIRST_ROWS])
        yield Static(id="settings-hint")

    def on_mount(self) -> None:
        self._show_hint()
        self.call_after_refresh(self._mount_other_rows)

    async def _mount_other_rows(self) -> None:
        if not self.is_attached:  # the app is already closing
            return
        await self.mount_all(self._rows(list(SETTINGS)[_FIRST_ROWS:]), before="#settings-hint")

    def _rows(self, names: list[str]) -> list[SettingRow]:
        rows = [SettingRow(name, self._values[name]) for name in names]
        for row in rows:
            row.field.disabled = self.locked
        return rows

    def read(self) -> TrainConfig | None:
        """Return the settings in the form; if one is invalid, focus its field and return None."""
        invalid = [row for row in self.query(SettingRow) if not row.check()]
        if invalid:
            invalid[0].field.focus()
            return None
        rows = {row.setting: row.read() for row in self.query(SettingRow)}
        try:
            return build_config(self._values | rows)  # some rows may not be mounted yet
        except ConfigError as error:  # two settings contradict each other
            row = self._row(error.field)
            row.show_error(error)
            row.field.focus()
            return None

    def set(self, name: str, value: Setting) -> None:
        """Put `value` into the field of the setting `name`."""
        self._values[name] = value  # for a row that is mounted later
        for row in self.query(f"#setting-{name}").results(SettingRow):
            row.write(value)

    def show(self, config: TrainConfig) -> None:
        """Put all settings of `config` into the form."""
        self._values, self._preset = dataclasses.asdict(config), config.preset
        for row in self.query(SettingRow):
            row.write(self._values[row.setting])

    def watch_locked(self, locked: bool) -> None:
        for row in self.query(SettingRow):
            row.field.disabled = locked
        self._show_hint()

    def on_descendant_focus(self) -> None:
        self._show_hint()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        row = _row_of(event.widget)
        if row is not None:
            row.check()
            self._show_hint()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Fill in the settings of the preset chosen."""
        # a Select also posts its first value, when the other fields already have theirs
        if event.select is self._row("preset").field and event.value != self._preset:
            self._preset = str(event.value)
            for name, value in preset_values(self._preset).items():
                self.set(name, value)

    def _show_hint(self) -> None:
        """Describe the focused setting; not that of the event, because blur may arrive after focus."""
        focused = self.screen.focused
        row = _row_of(focused) if focused is not None else None
        text = _LOCKED if self.locked else _HINT
        if row is not None and not self.locked:
            text = f"{SETTINGS[row.setting].metadata['description']}\n{_HINT}"
        self.query_one("#settings-hint", Static).update(text)

    def _row(self, name: str) -> SettingRow:
        return self.query_one(f"#setting-{name}", SettingRow)


def _row_of(widget: Widget) -> SettingRow | None:
    return next((node for node in widget.ancestors if isinstance(node, SettingRow)), None)


def _field(setting: str, value: Setting) -> "Input | Select[str]":
    """Build the widget for a setting: a list of its choices, or a text field that completes suggestions."""
    metadata = SETTINGS[setting].metadata
    if metadata["choices"]:
        return ChoiceField.from_values(
            metadata["choices"], value=setting_text(value), allow_blank=False, compact=True
        )
    suggestions = metadata["suggestions"]
    return Input(
        setting_text(value), compact=True, suggester=SuggestFromList(suggestions) if suggestions else None
    )
