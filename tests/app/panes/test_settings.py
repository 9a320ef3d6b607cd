"""The form shows every setting by its key, whatever its type, and completes what can be completed."""

import pytest
from textual.widgets import Input, Label, Select

from cifar_tui.app.panes import settings as module
from cifar_tui.app.panes.settings import SettingRow, SettingsPane
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from tests.app.panes.pane_app import PaneApp, settled

LONGEST = max(SETTINGS, key=len)


def test_none_is_an_empty_field_and_an_empty_field_is_parsed_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, texts = SettingRow("learning_rate", None), []
    monkeypatch.setattr(module, "parse_setting", lambda _, text: texts.append(text))
    assert row.field.value == ""
    assert row.read() is None
    assert texts == [""]


def test_a_setting_with_choices_has_a_list_and_its_value_before_it_is_mounted() -> None:
    row = SettingRow("preset", "quick")
    assert isinstance(row.field, Select)
    assert row.read() == "quick"


@pytest.mark.parametrize(
    ("name", "typed", "completed"), [("data", "syn", "synthetic"), ("device", "cuda:", "cuda:0")]
)
async def test_a_text_field_completes_what_the_setting_suggests(
    name: str, typed: str, completed: str
) -> None:
    field = SettingRow(name, "").field
    assert isinstance(field, Input)
    assert field.suggester is not None
    assert await field.suggester.get_suggestion(typed) == completed


async def test_a_label_is_the_whole_key_and_a_locked_form_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTINGS", {name: SETTINGS[name] for name in ("preset", LONGEST)})
    form = SettingsPane(TrainConfig(), id="settings")
    async with PaneApp(form).run_test(size=(40, 10)) as pilot:
        await settled(pilot)
        label = pilot.app.query(Label).filter(".setting-label").last(Label)
        assert str(label.content) == LONGEST.replace("_", " ")
        assert all(word in pilot.app.text() for word in LONGEST.split("_"))
        form.locked = True
        await settled(pilot)
        assert "Settings are fixed while training" in pilot.app.text()
        assert all(row.field.disabled for row in form.query(SettingRow))
