"""The settings of the next run: rows in groups that fold, edited in place."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.reactive import reactive
from textual.widgets import Input, Static

from cifar_tui.app.panes.settings.about import about, hint
from cifar_tui.app.panes.settings.field import Field
from cifar_tui.app.panes.settings.form import Form
from cifar_tui.app.panes.settings.suggest import suggester_for
from cifar_tui.app.panes.settings.view import FormView
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.engine.config.schema import SETTINGS, Setting, TrainConfig
from cifar_tui.engine.config.text import setting_text
from cifar_tui.engine.errors import ConfigError

_RATE = "learning_rate"


class SettingsPane(Pane, can_focus=True):
    """All settings of the next run, fixed during a run."""

    DEFAULT_CSS = """
    SettingsPane {
        FormView {
            & > .form--heading { text-style: bold; color: $foreground; }
            & > .form--key { color: $foreground 70%; }
            & > .form--value { color: $foreground; }
            & > .form--locked { color: $foreground 70%; }
            & > .form--changed { color: $text-accent; text-style: bold; }
            & > .form--wrong { color: $text-error; text-style: bold; }
            /* so grey that it stays grey among 256 colours */
            & > .form--cursor { background: grey 20%; }
        }
        Field { background: transparent; &:focus { background: grey 20%; } }
        #settings-hint { dock: bottom; height: 2; color: $foreground 60%; content-align: left bottom; }
        &:focus-within #settings-hint { height: 4; }
        #settings-about { display: none; dock: right; width: 50%; padding: 0 2; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # the app's key, in the footer of the setting that it is for
        Binding("ctrl+l", "find_rate", "Find a rate", key_display="^l", priority=True),
    ]
    BORDER_TITLE = "1 Settings"
    locked = reactive(default=False, init=False)

    def __init__(self, config: TrainConfig, *, id: str) -> None:
        super().__init__(id=id)
        self._form = Form(config)
        self._view = FormView(self._form)
        self._field = Field(
            keys={
                "up": partial(self.move, -1),
                "down": partial(self.move, 1),
                "enter": self._accept,
                "ctrl+r": self._reset,
                "escape": self.leave,
            },
            choice_keys={"left": partial(self._step, -1), "right": partial(self._step, 1)},
            on_entered=self._show,
        )
        self._edited: str | None = None
        self._place_field(moved=False)

    def compose(self) -> ComposeResult:
        yield self._view
        yield self._field
        yield Static(about(self._form, self._view.current), id="settings-about")
        yield Static(id="settings-hint")

    def on_mount(self) -> None:
        self._show()

    # What the rest of the program asks of the form

    @property
    def has_cursor(self) -> bool:
        """Whether a row has the cursor."""
        return self.is_attached and self.screen.focused is self._field

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer a range test at the learning rate only."""
        del parameters
        return action != "find_rate" or self._edited == _RATE

    async def action_find_rate(self) -> None:
        """Start the range test, as the app's key does elsewhere."""
        await self.run_action("app.range_test")

    def read(self) -> TrainConfig | None:
        """Return the settings in the form; if one is wrong, move to it and return None."""
        self._take()
        try:
            return self._form.read()
        except ConfigError as error:
            self.find(error.field)
            return None

    def text(self, name: str) -> str:
        """Return what is in the field of the setting `name`, which may be wrong."""
        return self._form.text(name)

    def value_to_copy(self) -> str:
        """Return the value of the row that has the cursor, or had it last."""
        setting = self._view.current.setting
        return "" if setting is None else self._form.text(setting)

    def set(self, name: str, value: Setting) -> None:
        """Put `value` into the field of the setting `name`."""
        self._form.write(name, setting_text(name, value))
        self._show()

    def show(self, config: TrainConfig) -> None:
        """Put all settings of `config` into the form."""
        self._form.load(config)
        self._show()

    def find(self, name: str) -> None:
        """Move the cursor to the row of the setting `name`."""
        self._form.notice = ""
        self._form.reveal(name)
        self._view.go(name)
        self.screen.set_focus(self._field, scroll_visible=False)
        self._show()

    def move(self, step: int) -> bool:
        """Accept what is typed and move the cursor by `step` rows; return whether there is such a row."""
        self._take()
        self._form.notice = ""
        self._view.redraw()  # what was typed may show or hide the next row
        moved = self._view.move(step)
        self._show()
        return moved

    def leave(self) -> None:
        """Accept what is typed, and make letters commands again."""
        self._take()
        self._form.notice = ""
        self.screen.set_focus(self)
        self._show()

    def after_typing(self, call: Callable[[], object]) -> None:
        """Call `call` once the keys typed before are in the form."""
        self._field.call_later(call)

    # Keys in the form

    def _accept(self) -> None:
        """Accept what is typed and move on; open a list of choices; fold or unfold a group."""
        name = self._view.current.setting
        self._take()
        if name is None or (name != self._edited and not self._form.is_text(name) and not self.locked):
            self._open()
        elif self.locked or self._form.check(name):
            self.move(1)
        else:
            self._show()

    def _open(self) -> None:
        """Open the list of choices of the row that has the cursor; fold or unfold its group."""
        row = self._view.current
        if row.setting is None:
            self._form.fold(row.group, folded=row.is_open)
            self._show()
        elif row.setting != self._edited and not self._form.is_text(row.setting) and not self.locked:
            self._open_choices(row.setting)

    def _step(self, step: int) -> None:
        """Take the next or previous choice; unfold or fold a group."""
        row = self._view.current
        if row.setting is None:
            self._form.fold(row.group, folded=step < 0)
        elif not self._form.is_text(row.setting) and not self.locked:
            self._form.write(row.setting, self._form.next_choice(row.setting, step))
        self._show()

    def _reset(self) -> None:
        """Take the value of the preset."""
        name = self._view.current.setting
        if name is not None and not self.locked:
            self._form.write(name, self._form.initial(name))
            self._form.check(name)
            self._show()

    def _open_choices(self, name: str) -> None:
        from cifar_tui.app.dialogs.choices import Choices

        def choose(choice: str | None) -> None:
            if choice is None:
                return
            if choice in others:  # typed next
                begin = choice.removesuffix("NAME")
                self._form.write(name, begin if begin.islower() else "")
            else:
                self._form.write(name, choice)
                self._view.move(1)
            self._show()

        choices, others = SETTINGS[name].metadata["choices"], SETTINGS[name].metadata["others"]
        self.app.push_screen(Choices(name, choices | others, self._form.text(name)), choose)

    # What happens to it

    def watch_locked(self) -> None:
        if self.has_cursor:  # letters that were commands a moment ago must not become text
            self.leave()
        self._show()

    def on_descendant_blur(self) -> None:
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._take()
        self._show_texts()

    def on_form_view_clicked(self, event: FormView.Clicked) -> None:
        event.stop()
        self._take()
        self._form.notice = ""
        self._view.go(event.row.key)
        self.screen.set_focus(self._field, scroll_visible=False)
        self._show()
        if event.row.setting is None or event.on_value:
            self._open()

    def on_form_view_scrolled(self, event: FormView.Scrolled) -> None:
        event.stop()
        self._take()
        self._show()

    # How it shows

    def _take(self) -> None:
        """Put what is typed into the form."""
        if self._edited is not None:
            self._form.write(self._edited, self._field.value)

    def _show(self) -> None:
        """Show the form as it is now, with the field on the row that has the cursor."""
        if not self.is_mounted:
            return
        row = self._view.current
        focused = self.has_cursor
        # what is being typed may be a choice on the way
        has_text = row.setting is not None and (
            row.setting == self._edited or self._form.is_text(row.setting)
        )
        edited = row.setting if focused and has_text and not self.locked else None
        if self._edited not in {None, edited}:
            self._form.check(str(self._edited))
        if edited != self._edited and (None in {edited, self._edited} or _RATE in {edited, self._edited}):
            self.refresh_bindings()  # letters are text, or commands again; one setting has a key of its own
        moved, self._edited = edited != self._edited, edited
        self._view.has_cursor, self._view.locked = focused, self.locked
        self._view.redraw()
        self._place_field(moved=moved)
        self._show_texts()

    def _place_field(self, *, moved: bool) -> None:
        region = self._view.value_region
        if self._edited is None:
            region = Region(0, region.y, 1, 1)
            self._field.rest(self._view.mark)
        else:
            field, text = SETTINGS[self._edited], self._form.text(self._edited)
            self._field.suggester = suggester_for(field.metadata)
            self._field.is_number = field.type is not str
            if moved or self._field.value != text:
                self._field.edit(text, is_word=text in field.metadata["words"])
        # a row that is scrolled out of sight must not put it on the border; the first frame has no height yet
        top = min(max(0, region.y), (self._view.size.height or region.y + 1) - 1)
        self._field.styles.offset = (region.x, top)
        self._field.styles.width = region.width

    def _show_texts(self) -> None:
        row = self._view.current
        shown = row if self._view.has_cursor else None
        beside, below = self.query_one("#settings-about", Static), self.query_one("#settings-hint", Static)
        beside.update(about(self._form, row))
        text = hint(self._form, shown, locked=self.locked, explained=beside.display, size=below.size)
        below.update(text)
        title = Content.assemble("1 Settings · ", self._form.text("preset"))
        if self._form.changed:
            title = title.append(f" ● {self._form.changed} changed")
        self.border_title = title
