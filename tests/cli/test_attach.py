"""`cifar-tui attach` refuses a run that cannot be shown before it opens the dashboard."""

import pytest

from cifar_tui.cli.attach import attach
from cifar_tui.cli.parser import parse
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.disk.store import write_config


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.toml", 'batch_size = "four"', r"config\.toml': batch_size 'four' must be a whole number"),
        ("config.toml", "=", r"config\.toml' is not a TOML file"),
        ("events.jsonl", None, r"is not a run folder \(events\.jsonl is missing"),
    ],
)
def test_a_run_that_cannot_be_shown_is_refused(tmp_path, monkeypatch, name, content, says):
    opened = []
    monkeypatch.setattr("cifar_tui.cli.attach.open_dashboard", lambda launch, _: opened.append(launch) or 0)
    folder = tmp_path / "run"
    folder.mkdir()
    write_config(folder, TrainConfig())
    EventLog(folder).close()
    options = parse(["attach", "run", "--checkpoints", str(tmp_path)])
    assert attach(options) == 0
    assert [launch.folder for launch in opened] == [folder]
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(ConfigError, match=says):
        attach(options)
    assert len(opened) == 1
