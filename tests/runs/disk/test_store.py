"""The checkpoints folder: runs are created in it and found by name."""

import json
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Message, event_to_dict
from cifar_tui.engine.text import escaped
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.disk.store import (
    attach_hint,
    check_checkpoints,
    create_run_folder,
    find_run,
    how_to_continue,
    label_of,
    read_name,
    run_folders,
    write_config,
    write_name,
)
from tests.hostile import FILE_NAMES
from tests.runs.made_events import at, record


def test_of_runs_that_begin_at_the_same_moment_one_gets_the_name(tmp_path):
    """As when several jobs of a batch system run the same line."""
    count, begin, refused = 8, threading.Barrier(8), []

    def create(_):
        begin.wait()
        try:
            create_run_folder(tmp_path, TrainConfig(), name="mine")
        except ConfigError as error:
            refused.append(str(error))

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(create, range(count)))
    (run,) = run_folders(tmp_path)
    assert refused == [f"the name 'mine' belongs to run {run.name}; choose another name"] * (count - 1)


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
    [
        ("20260102", r"'20260102' is ambiguous \(2 runs match\); use a longer prefix"),
        ("1999", "no run '1999' in .*; the latest is 20260102-110000"),
        ("not", "no run 'not' in"),
    ],
)
def test_a_name_that_fits_no_single_run_is_one_sentence(runs, name, says):
    with pytest.raises(ConfigError, match=says):
        find_run(runs, name)


def test_an_empty_place_has_no_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"no runs in .*none"):
        find_run(tmp_path / "none", "latest")


def test_a_checkpoints_folder_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot read the checkpoints folder .*file.*choose another"):
        find_run(tmp_path / "file", "latest")


def test_the_checkpoints_folder_is_made(tmp_path):
    check_checkpoints(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_checkpoints_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write to the checkpoints folder .*file.*choose another"):
        check_checkpoints(tmp_path / "file")
    with pytest.raises(RunFailedError, match="cannot create the run's folder"):
        create_run_folder(tmp_path / "file", TrainConfig())


@pytest.fixture
def named(runs):
    write_name(runs / "20260101-100000", "lr-sweep-3")
    write_name(runs / "20260102-100000", "lr-sweep-12")
    write_name(runs / "20260102-110000", "lr-sweep-1")
    return runs


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lr-sweep-3", "20260101-100000"),
        ("lr-sweep-1", "20260102-110000"),  # also the start of another name
        ("lr-sweep-12", "20260102-100000"),
        ("20260101", "20260101-100000"),
        ("latest", "20260102-110000"),
    ],
)
def test_a_run_is_found_by_its_name(named, name, found):
    assert find_run(named, name) == named / found


def test_a_prefix_of_several_names_is_ambiguous_and_a_near_one_is_suggested(named):
    with pytest.raises(ConfigError, match="'lr' is ambiguous"):
        find_run(named, "lr")
    with pytest.raises(ConfigError, match=r"no run 'lr-swep-3' in .*; did you mean 'lr-sweep-3'"):
        find_run(named, "lr-swep-3")


def test_a_run_has_its_name_from_the_start_and_can_lose_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    folder = create_run_folder(Path("checkpoints"), TrainConfig(), name="müsli run")
    assert read_name(folder) == label_of(folder) == "müsli run"
    assert attach_hint(folder).endswith("Reattach with: cifar-tui attach 'müsli run'")
    monkeypatch.chdir(Path("checkpoints"))
    elsewhere = f" --checkpoints {tmp_path / 'checkpoints'}"
    assert attach_hint(tmp_path / folder).endswith(f"cifar-tui attach 'müsli run'{elsewhere}")
    folder = tmp_path / folder
    write_name(folder, "")
    assert read_name(folder) == ""
    assert label_of(folder) == folder.name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("latest", "means the latest run"),
        ("a/b", "without '/'"),
        ("a\x1b[2J", "must be printable"),
        (" a", "without spaces at either end"),
        ("-a", "must not start with '-'"),
        ("a" * 65, "must have 1 to 64 characters"),
        ("lr-sweep-3", "belongs to run 20260101-100000; choose another name"),
        ("20260101-100000", "belongs to run 20260101-100000"),
    ],
)
def test_a_name_that_could_be_mistaken_is_refused(named, name, says):
    with pytest.raises(ConfigError, match=says):
        write_name(named / "20260102-110000", name)
    assert read_name(named / "20260102-110000") == "lr-sweep-1"
    before = os.listdir(named)
    with pytest.raises(ConfigError, match=says):
        create_run_folder(named, TrainConfig(), name=name)
    assert os.listdir(named) == before


def test_a_run_may_be_given_its_own_name_again(named):
    write_name(named / "20260101-100000", "lr-sweep-3")
    assert read_name(named / "20260101-100000") == "lr-sweep-3"


def test_whatever_is_in_the_file_of_a_name_is_kept_as_it_is_and_finds_the_run(runs):
    (runs / "20260101-100000" / "name").write_bytes(b"\xff\x1b[2J" + 10_000 * b"a")
    name = read_name(runs / "20260101-100000")
    assert name == os.fsdecode(b"\xff\x1b[2J" + 59 * b"a")
    assert find_run(runs, name).name == "20260101-100000"


@pytest.mark.parametrize("name", FILE_NAMES.values(), ids=FILE_NAMES)
def test_a_command_that_is_told_can_be_copied_into_a_shell(tmp_path, name):
    line = command("attach", tmp_path / name / "run", label=name)
    assert line == escaped(line)
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    wanted = ["cifar-tui", "attach", name, "--checkpoints", str(tmp_path / name)]
    assert [os.fsdecode(word) for word in words.split(b"\0")[:-1]] == wanted


@pytest.mark.parametrize(
    ("names", "latest"),
    [
        (("20260101-100000", "aaa"), "aaa"),
        (("zzz", "20260102-100000"), "20260102-100000"),
        (("20260101-100000-10", "20260101-100000-2"), "20260101-100000-2"),
        (("20261025-023000", "20261025-021500"), "20261025-021500"),  # the clock was put back
        (("b", "a"), "a"),
        (("29990101-000000", "20260101-000000"), "20260101-000000"),
    ],
)
def test_the_latest_run_is_the_one_that_began_last_whatever_it_is_called(tmp_path, names, latest):
    for time, name in enumerate(names):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, TrainConfig())
        record(tmp_path / name, at(1000 + time, Message(text="")))
    assert find_run(tmp_path, "latest").name == latest
    assert [run.name for run in run_folders(tmp_path)] == list(names)


def test_a_log_whose_head_is_none_of_ours_is_not_read_to_its_end(tmp_path):
    junk = {
        "20260101-100000": "x" * 70_000,
        "20260102-100000": "x\n" * 40_000,
        "20260103-100000": "{}\n" + "x" * 70_000,
    }
    for time, name in enumerate(reversed(junk)):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, TrainConfig())
        event = json.dumps(event_to_dict(at(1000 + time, Message(text=""))))
        (tmp_path / name / "events.jsonl").write_text(f"{junk[name]}\n{event}\n")
    assert [run.name for run in run_folders(tmp_path)] == [*junk]


@pytest.mark.parametrize(
    "log", ["", "{}\n", "x" * 100, '{"event":"Message","time":-1,"text":"","printed":false}\n']
)
def test_a_run_without_a_sound_event_is_as_old_as_its_id_says(tmp_path, log):
    for name in ("20260101-100000", "20260103-100000", "20260102-100000"):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, TrainConfig())
        (tmp_path / name / "events.jsonl").write_text(log)
    assert find_run(tmp_path, "latest").name == "20260103-100000"


@pytest.fixture
def hostile_run(runs):
    """A run that its user called what a terminal would obey."""
    folder = runs / "20260101-100000"
    (folder / "name").write_text("a\x1b[2J\x9b2Jb")
    return folder


def crash(folder):
    """Leave the lock of a process that was killed."""
    (folder / "lock").write_text(json.dumps({"pid": 1, "host": socket.gethostname()}))


def test_how_to_go_on_after_a_kill_is_safe_to_print_whatever_the_run_is_called(hostile_run):
    crash(hostile_run)
    assert how_to_continue(hostile_run).startswith(r"run a\x1b[2J\x9b2Jb has no checkpoint")
    (hostile_run / "last.pt").touch()
    said = how_to_continue(hostile_run)
    assert said.startswith(r"run a\x1b[2J\x9b2Jb has a checkpoint. Resume with: cifar-tui train --resume ")
    assert said.isprintable()
    lock = RunLock(hostile_run)
    lock.acquire()
    said = how_to_continue(hostile_run)
    assert said.startswith(r"run a\x1b[2J\x9b2Jb is still running. Reattach with: cifar-tui attach ")
    assert said.isprintable()
    lock.release()
    assert how_to_continue(hostile_run) == "", "it had ended before"


@pytest.mark.parametrize("put", [lambda path: path.symlink_to(__file__), os.mkfifo, Path.mkdir])
def test_what_is_no_file_of_a_killed_run_is_no_checkpoint_of_it(runs, put):
    folder = runs / "20260101-100000"
    crash(folder)
    put(folder / "last.pt")
    assert how_to_continue(folder) == "run 20260101-100000 has no checkpoint to resume from"
