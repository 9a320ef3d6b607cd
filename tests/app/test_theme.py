"""The theme is remembered between two starts, and a start never fails because of it."""

import pytest

from cifar_tui.app.app import CifarApp
from cifar_tui.app.launch import Idle
from cifar_tui.app.theme import DEFAULT_THEME, remember_theme, remembered_theme, theme_file
from cifar_tui.engine.config.schema import TrainConfig


@pytest.fixture(autouse=True)
def _config_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


async def test_a_theme_chosen_in_one_start_is_that_of_the_next(tmp_path):
    launch = Idle(config=TrainConfig(data="synthetic"))
    app = CifarApp(launch, checkpoints=tmp_path)
    async with app.run_test() as pilot:
        assert app.theme == DEFAULT_THEME
        await pilot.pause()
        assert not theme_file().exists(), "nothing was chosen"
        app.theme = "nord"
        await pilot.pause()
    assert theme_file() == tmp_path / "config" / "cifar-tui" / "theme"
    assert CifarApp(launch, checkpoints=tmp_path).theme == "nord"


@pytest.mark.parametrize("content", [b"", b"no such theme", b"\xff\xfe"])
def test_a_damaged_file_means_the_default(content):
    remember_theme("nord")
    theme_file().write_bytes(content)
    assert remembered_theme() == DEFAULT_THEME


async def test_a_theme_that_cannot_be_remembered_is_said(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("a file")
    app = CifarApp(Idle(config=TrainConfig(data="synthetic")), checkpoints=tmp_path)
    said = []
    monkeypatch.setattr(app, "notify", lambda text, **_: said.append(text))
    async with app.run_test() as pilot:
        app.theme = "nord"
        await pilot.pause()
    assert [text for text in said if "cannot save the theme" in text]
