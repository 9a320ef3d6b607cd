"""`Form`: what is typed into the form, and which rows that makes. Knows no screen."""

import dataclasses
import functools
import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cifar_tui.engine.config.fields import Group
from cifar_tui.engine.config.schema import SETTINGS, Setting, TrainConfig, build_config, preset_values
from cifar_tui.engine.config.text import parse_setting, setting_text
from cifar_tui.engine.data.registry import user_path
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.own.name import own_name

_DEFAULTS: dict[str, Setting] = dataclasses.asdict(TrainConfig())


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the form.

    Attributes:
        group: the group it belongs to.
        setting: the key of the setting; None for the heading of the group.
        is_open: whether the rows of the group are shown.
    """

    group: Group
    setting: str | None
    is_open: bool

    @property
    def key(self) -> str:
        """The name of the row: the key of a setting, or the name of a group."""
        return self.setting or self.group


class Form:
    """The settings as text, and what is wrong with them.

    Attributes:
        errors: why the value of a setting is wrong, by its key.
        notice: what choosing another preset just did to changed values; "" if nothing.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.errors: dict[str, str] = {}
        self.notice = ""
        self._texts: dict[str, str] = {}
        self._changed_under: dict[str, dict[str, str]] = {}
        self._folded: dict[Group, bool] = {}
        self._fitting: set[Group] = set()
        self._height = -1
        self._revealed: set[str] = set()
        self.load(config)

    def load(self, config: TrainConfig) -> None:
        """Replace all values by those of `config`."""
        self.errors.clear()
        self.notice = ""
        self._changed_under.clear()
        self._texts = {name: setting_text(name, value) for name, value in dataclasses.asdict(config).items()}

    def read(self) -> TrainConfig:
        """Return the settings.

        Raises:
            ConfigError: a value is wrong, or two contradict each other; the error is then shown at its row.
        """
        for name in self._texts:
            self.check(name)
        if self.errors:
            name, reason = next(iter(self.errors.items()))
            raise ConfigError(f"{name} {reason}", field=name)
        try:
            return build_config({name: parse_setting(name, text) for name, text in self._texts.items()})
        except ConfigError as error:
            self._show_error(error)
            raise

    def text(self, name: str) -> str:
        """Return the value of a setting as the user reads it."""
        return self._texts[name]

    def write(self, name: str, text: str) -> None:
        """Set the value of a setting as the user wrote it; a preset sets those of its recipe."""
        if text == self._texts[name]:
            return
        self.notice = ""
        if name == "preset":
            self._choose_preset(text)
        self._texts[name] = text

    def _choose_preset(self, preset: str) -> None:
        """Set the values of `preset`, with those that were changed when it was chosen before."""
        before = self._texts["preset"]
        replaced = {name: text for name, text in self._texts.items() if self.is_changed(name)}
        restored = self._changed_under.get(preset, {})
        self._changed_under[before] = replaced
        values = {name: setting_text(name, value) for name, value in preset_values(preset).items()}
        self._texts |= values | restored
        for name in values:
            self.errors.pop(name, None)
        if restored:
            self.notice = f"{preset}: brought back {_changed_values(len(restored))}"
        elif replaced:
            count = _changed_values(len(replaced))
            self.notice = f"{preset}: replaced {count} · going back to {before} undoes it"

    def check(self, name: str) -> bool:
        """Return whether the value of a setting is valid, and keep the reason if it is not."""
        self.errors.pop(name, None)
        text, metadata = self._texts[name], SETTINGS[name].metadata
        try:
            value = parse_setting(name, text)
        except ConfigError as error:
            self._show_error(error)
        else:
            if metadata["folder"] and value and value not in metadata["suggestions"] and not _exists(text):
                self.errors[name] = f"'{text}' is not a folder or a file"
            own = own_name(text) if metadata["others"] else None
            if own is not None and not _exists(str(own.file)):
                self.errors[name] = f"'{own.file}' does not exist"
        return name not in self.errors

    def initial(self, name: str) -> str:
        """Return what a reset makes of a setting: the value of the preset, or the default."""
        return _initial_texts(self._texts["preset"])[name]

    def is_changed(self, name: str) -> bool:
        """Whether a setting has a valid value that differs from the preset."""
        in_recipe = bool(SETTINGS[name].metadata["in_recipe"])
        return in_recipe and name not in self.errors and self._texts[name] != self.initial(name)

    @property
    def changed(self) -> int:
        """How many settings differ from the preset."""
        return sum(map(self.is_changed, SETTINGS))

    def is_text(self, name: str) -> bool:
        """Whether a setting is typed, not chosen: it has no choices, or its value is another one."""
        choices = SETTINGS[name].metadata["choices"]
        return not choices or self._texts[name] not in choices

    def next_choice(self, name: str, step: int) -> str:
        """Return the choice `step` places after the value of a setting, at most the last."""
        choices: list[str] = list(SETTINGS[name].metadata["choices"])
        return choices[max(0, min(len(choices) - 1, choices.index(self._texts[name]) + step))]

    def fold(self, group: Group, *, folded: bool) -> None:
        """Hide or show the rows of a group."""
        self._folded[group] = folded

    def reveal(self, name: str) -> None:
        """Show the row of a setting, in whatever group it is, also if it has no effect now."""
        self._revealed.add(name)
        self._folded[SETTINGS[name].metadata["group"]] = False

    def rows(self, height: int) -> list[Row]:
        """Return the rows from top to bottom, with the groups open that fitted when `height` last changed."""
        used = {group: list(self._used(group)) for group in Group}
        if height != self._height:
            self._height, self._fitting = height, self._fitting_groups(used, height)
        rows = []
        for group, names in used.items():
            is_open = not self._folded.get(group, group not in self._fitting)
            rows.append(Row(group=group, setting=None, is_open=is_open))
            if is_open:
                rows += [Row(group=group, setting=name, is_open=True) for name in names]
        return rows

    def _fitting_groups(self, used: Mapping[Group, list[str]], height: int) -> set[Group]:
        """Return the groups that fit into `height` lines, from the first to one that does not."""
        room = height - len(used)
        fitting = {Group.ESSENTIALS}
        for group, names in used.items():
            room -= 0 if self._folded.get(group) else len(names)
            if room < 0:
                break
            fitting.add(group)
        return fitting

    def summary(self, group: Group) -> str:
        """Return what is in a group: the values that differ from the default, or else the first."""
        used = list(self._used(group))
        different = [name for name in used if self._texts[name] != setting_text(name, _DEFAULTS[name])]
        return " · ".join(map(self._short, different or used[:1]))

    def _short(self, name: str) -> str:
        """The value of a setting with its key, without it where the group says what it is."""
        text = self._texts[name]
        return text if name in {"optimizer", "lr_schedule"} else f"{name} {text}"

    def changed_in(self, group: Group) -> bool:
        """Whether a setting of a group differs from the preset."""
        return any(self.is_changed(name) for name in self._used(group))

    def _used(self, group: Group) -> Iterator[str]:
        """Yield the settings of a group that have an effect, a wrong value, or were looked for."""
        values = {name: _value(name, text) for name, text in self._texts.items()}
        for name, field in SETTINGS.items():
            shown = name in self.errors or name in self._revealed or field.metadata["used_if"](values)
            if field.metadata["group"] is group and shown:
                yield name

    def _show_error(self, error: ConfigError) -> None:
        self.errors[error.field] = str(error).removeprefix(f"{error.field} ")
        self._folded[SETTINGS[error.field].metadata["group"]] = False


@functools.cache
def _initial_texts(preset: str) -> Mapping[str, str]:
    values = _DEFAULTS | preset_values(preset)
    return {name: setting_text(name, value) for name, value in values.items()}


@functools.lru_cache(maxsize=1024)
def _value(name: str, text: str) -> Setting:
    """The value of a setting, or the default while a wrong one is being typed."""
    try:
        return parse_setting(name, text)
    except ConfigError:
        return _DEFAULTS[name]


def _changed_values(count: int) -> str:
    return f"{count} changed {'value' if count == 1 else 'values'}"


def _exists(text: str) -> bool:
    return os.path.exists(user_path(text))  # noqa: PTH110 - Path.exists raises if the text is too long
