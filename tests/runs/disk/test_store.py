"""Run folders: made new, found by name, and the log inside."""

import json
import os

import pytest

from cifar_tui.engine.config.schema import TrainConfig, build_config, read_config_file
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import EvaluationProgress, LossPoint, Message
from cifar_tui.runs.disk.event_log import EventLog, read_events
from cifar_tui.runs.disk.store import check_checkpoints, create_run_folder, find_run


def test_two_runs_of_one_second_get_two_folders(tmp_path):
    first = create_run_folder(tmp_path, TrainConfig())
    second = create_run_folder(tmp_path, TrainConfig())
    assert first != second
    assert sorted([second, first]) == [first, second]


def test_a_run_keeps_its_configuration(tmp_path):
    folder = create_run_folder(tmp_path, TrainConfig(epochs=7))
    assert build_config(read_config_file(folder / "config.toml")).epochs == 7


@pytest.fixture
def runs(tmp_path):
    for name in ("20260101-100000", "20260102-100000", "20260102-110000", "not-a-run"):
        (tmp_path / name).mkdir()
        if name != "not-a-run":
            (tmp_path / name / "config.toml").write_text("")
    (tmp_path / "README.md").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", "20260102-110000"),
        ("20260101-100000", "20260101-100000"),
        ("20260101", "20260101-100000"),
        ("20260102-11", "20260102-110000"),
    ],
)
def test_a_run_is_found_by_id_prefix_or_latest(runs, name, found):
    assert find_run(runs, name) == runs / found


@pytest.mark.parametrize(
    ("name", "says"),
    [("20260102", "begins 2 runs"), ("1999", "there is no run '1999'"), ("not", "there is no run")],
)
def test_a_name_that_fits_no_single_run_is_one_sentence(runs, name, says):
    with pytest.raises(ConfigError, match=says):
        find_run(runs, name)


def test_an_empty_place_has_no_runs(tmp_path):
    with pytest.raises(ConfigError, match="there are no runs"):
        find_run(tmp_path / "none", "latest")


def test_the_checkpoints_folder_is_made(tmp_path):
    check_checkpoints(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_checkpoints_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write to the checkpoints folder .*file.*name another"):
        check_checkpoints(tmp_path / "file")
    with pytest.raises(RunFailedError, match="cannot make a folder for the run"):
        create_run_folder(tmp_path / "file", TrainConfig())


def test_the_event_log_gives_back_what_was_appended(tmp_path):
    events = [Message(text="ä\nb"), Message(text="c", printed=True)]
    log = EventLog(tmp_path)
    for event in [events[0], EvaluationProgress(done=1, total=2), events[1]]:
        log.append(event)
    log.close()
    assert list(read_events(tmp_path)) == events, "but for what is for the screen only"


def test_the_event_log_is_lines_of_json_that_begin_with_the_schema(tmp_path):
    log = EventLog(tmp_path)
    log.append(Message(text="a"))
    log.close()
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"schema": 1}
    assert json.loads(lines[1])["event"] == "Message"


def test_a_log_that_is_opened_again_goes_on(tmp_path):
    for text in ("a", "b"):
        log = EventLog(tmp_path)
        log.append(Message(text=text))
        log.close()
    assert [event.text for event in read_events(tmp_path)] == ["a", "b"]


def test_a_torn_last_line_is_the_end(tmp_path):
    log = EventLog(tmp_path)
    log.append(Message(text="a"))
    log.append(Message(text="b"))
    log.close()
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert [event.text for event in read_events(tmp_path)] == ["a"]


def test_a_lifecycle_event_is_on_the_disk_at_once_and_a_point_within_a_second(tmp_path):
    log = EventLog(tmp_path)
    log.append(Message(text="a"))
    assert len(list(read_events(tmp_path))) == 1
    log.append(
        LossPoint(
            step=1,
            steps=1,
            epoch=1,
            batch=1,
            loss=1.0,
            loss_min=1.0,
            loss_max=1.0,
            accuracy=0.0,
            learning_rate=0.1,
            images=4,
            train_seconds=0.1,
        )
    )
    log.append(Message(text="b"))
    assert len(list(read_events(tmp_path))) == 3
