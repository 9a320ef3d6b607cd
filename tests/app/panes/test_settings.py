"""The form shows every setting by its key, whatever its type, and completes what can be completed."""

import pytest
from textual.widgets import Input, Label, Select

from cifar_tui.app.panes.settings.pane import SettingRow, SettingsPane
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from tests.app.panes.pane_app import PaneApp, settled, until


async def test_the_form_is_made_of_the_settings_and_can_be_locked() -> None:
    async with PaneApp(SettingsPane(TrainConfig(), id="settings")).run_test(size=(40, 90)) as pilot:
        await until(pilot, lambda: len(pilot.app.query(SettingRow)) == len(SETTINGS))
        await settled(pilot)
        rows = dict(zip(SETTINGS, pilot.app.query(SettingRow), strict=True))
        for name, row in rows.items():
            setting, label = SETTINGS[name], row.query_one(".setting-label", Label)
            assert str(label.content) == name.replace("_", " ")
            assert label.region.height * (label.region.width - 1) >= len(name), "the label is cut off"
            assert isinstance(row.field, Select if setting.metadata.get("choices") else Input)
            assert row.read() == setting.default
            assert row.field.value == "" or setting.default is not None
        for name, typed, completed in (("data", "syn", "synthetic"), ("device", "cuda:", "cuda:0")):
            suggester = rows[name].query_one(Input).suggester
            assert suggester is not None
            assert await suggester.get_suggestion(typed) == completed
        pilot.app.query_one(SettingsPane).locked = True
        await settled(pilot)
        assert isinstance(pilot.app, PaneApp)
        assert "Settings are fixed while training" in pilot.app.text()
        assert all(row.field.disabled for row in rows.values())


async def test_none_is_an_empty_field_and_an_empty_field_is_parsed_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, texts = SettingRow("learning_rate", None), []
    monkeypatch.setattr("cifar_tui.app.panes.settings.pane.parse_setting", lambda _, text: texts.append(text))
    assert row.field.value == ""
    assert row.read() is None
    assert texts == [""]
