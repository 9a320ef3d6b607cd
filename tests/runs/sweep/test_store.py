"""The folder of a sweep: its plan comes back as it was, and damaged files are errors in a sentence."""

import contextlib
import dataclasses
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cifar_tui.engine.config.schema import preset_config
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.disk.membership import Membership, read_membership, write_membership
from cifar_tui.runs.disk.store import create_run_folder, read_name, run_folders, write_name
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.store import (
    Outcome,
    create_sweep,
    find_sweep,
    free_name,
    has_plan,
    member_folders,
    read_outcomes,
    read_plan,
    sweep_command,
    sweep_names,
    sweeps_folder,
    write_outcomes,
)
from tests.runs.sweep.made_sweeps import made_plan


@pytest.fixture
def folder(tmp_path):
    folder = sweeps_folder(tmp_path) / "rates"
    create_sweep(folder, made_plan())
    return folder


@pytest.mark.parametrize(
    "plan",
    [
        made_plan(),
        made_plan(eta=3, val_size=100),
        made_plan(bias_lr=None, head_lr=0.5),
        SweepPlan(
            name="presets",
            configs=(preset_config("tutorial"), preset_config("quick"), preset_config("max")),
            varied=("preset",),
            workers=0,
        ),
    ],
)
def test_a_plan_comes_back_as_it_was(tmp_path, plan):
    folder = sweeps_folder(tmp_path) / plan.name
    create_sweep(folder, plan)
    assert read_plan(folder) == plan
    assert find_sweep(tmp_path, plan.name) == folder


def test_a_sweep_is_no_run(folder):
    assert run_folders(folder.parent.parent) == []
    assert sweep_names(folder.parent.parent) == ["rates"]


def test_names_are_not_taken_twice(folder, tmp_path):
    assert free_name(tmp_path) == "sweep-1"
    (sweeps_folder(tmp_path) / "sweep-1").mkdir()
    assert free_name(tmp_path) == "sweep-2"
    with pytest.raises(
        ConfigError, match="a sweep 'rates' with other settings; choose another --name, or resume it"
    ):
        create_sweep(folder, made_plan())


def test_of_sweeps_that_begin_at_the_same_moment_one_gets_the_name(tmp_path):
    """Else the plan of one would be followed by the process of another."""
    folder = sweeps_folder(tmp_path) / "rates"
    plans = [made_plan(momentum=momentum / 10) for momentum in range(8)]
    begin, created = threading.Barrier(len(plans)), []

    def create(plan):
        begin.wait()
        with contextlib.suppress(ConfigError):
            create_sweep(folder, plan)
            created.append(plan)

    with ThreadPoolExecutor(len(plans)) as pool:
        list(pool.map(create, plans))
    assert created == [read_plan(folder)]


@pytest.mark.parametrize(
    ("changes", "same"),
    [({}, True), ({"eta": 3, "val_size": 9}, False), ({"momentum": 0.5}, False), ({"seeds": (0,)}, False)],
)
def test_a_plan_is_known_again_whatever_its_workers(folder, changes, same):
    plan = dataclasses.replace(made_plan(**changes), workers=7)
    assert has_plan(folder, plan) is same
    assert not has_plan(folder.with_name("other"), plan)


def test_the_names_of_its_runs_must_be_free(tmp_path):
    write_name(create_run_folder(tmp_path, preset_config("tutorial")), "rates-3")
    with pytest.raises(ConfigError, match="'rates-3' belongs to run"):
        create_sweep(sweeps_folder(tmp_path) / "rates", made_plan())
    assert sweep_names(tmp_path) == []


@pytest.mark.parametrize("name", ["a/b", " a", "x" * 70, "a\nb", ""])
def test_a_name_must_be_one_of_a_run(tmp_path, name):
    plan = SweepPlan(name=name, configs=(preset_config("tutorial"),), varied=(), workers=1)
    with pytest.raises(ConfigError, match="run name"):
        create_sweep(sweeps_folder(tmp_path) / name, plan)
    assert not sweeps_folder(tmp_path).exists()


@pytest.mark.parametrize("name", [".", ".."])
def test_a_sweep_has_a_folder_of_its_own(tmp_path, name):
    plan = SweepPlan(name=name, configs=(preset_config("tutorial"),), varied=(), workers=1)
    with pytest.raises(ConfigError, match=r"that of a folder; choose another --name"):
        create_sweep(sweeps_folder(tmp_path) / name, plan)


def test_runs_of_an_earlier_sweep_do_not_become_those_of_a_new_one(tmp_path):
    own = Membership(sweep="rates", number=1)
    run = create_run_folder(tmp_path, preset_config("tutorial"), name="renamed", membership=own)
    with pytest.raises(ConfigError, match=f"run {run.name} is of an earlier sweep 'rates'"):
        create_sweep(sweeps_folder(tmp_path) / "rates", made_plan())
    assert sweep_names(tmp_path) == []


def test_a_sweep_whose_plan_cannot_be_written_leaves_nothing_behind(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(
            RunFailedError, match=r"cannot write '.*plan\.toml': File too large; free disk space"
        ):
            create_sweep(sweeps_folder(tmp_path) / "rates", made_plan())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(sweeps_folder(tmp_path).iterdir()) == []


def test_a_folder_that_was_left_without_a_plan_is_taken(tmp_path):
    folder = sweeps_folder(tmp_path) / "rates"
    folder.mkdir(parents=True)
    create_sweep(folder, made_plan())
    assert read_plan(folder) == made_plan()


def test_commands_that_a_sentence_names_work_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sweep_command("--show", Path("checkpoints/sweeps/my rates")) == "cifar-tui sweep --show 'my rates'"
    assert sweep_command("--stop", tmp_path / "own/sweeps/rates") == (
        f"cifar-tui sweep --stop rates --checkpoints {tmp_path / 'own'}"
    )


def test_an_unknown_sweep_is_named_with_the_nearest(folder):
    with pytest.raises(ConfigError, match="did you mean 'rates'"):
        find_sweep(folder.parent.parent, "rate")
    with pytest.raises(ConfigError, match="there are none"):
        find_sweep(folder, "rates")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"name = 3",
        b"name = 'a'\nworkers = 1\neta = 1\nvaried = []\ncommon = {}\nruns = [{}]",
        b"name = 'a'\nworkers = 1\neta = 0\nvaried = ['nothing']\ncommon = {}\nruns = [{}]",
        b"name = 'a'\nworkers = 1\neta = 0\nvaried = []\ncommon = {}\nruns = [3]",
        b"name = 'a'\nworkers = 1\neta = 0\nvaried = []\ncommon = {epochs = 0}\nruns = [{}]",
        b"name = 'a'\nworkers = 1\neta = 0\nvaried = []\ncommon = {}\nruns = []",
    ],
)
def test_a_damaged_plan_is_an_error_in_a_sentence(folder, content):
    (folder / "plan.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"plan\.toml'|a sweep has 1 to"):
        read_plan(folder)


def test_a_plan_that_cannot_be_read_is_an_error_in_a_sentence(folder):
    (folder / "plan.toml").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        read_plan(folder)


def test_outcomes_come_back_and_damaged_ones_are_none(folder):
    assert read_outcomes(folder) == {}
    outcomes = {2: Outcome(hopeless_at=3), 11: Outcome(error="no such file")}
    write_outcomes(folder, outcomes)
    assert read_outcomes(folder) == outcomes
    for content in (b"[]", b"{", b'{"a": {}}', b'{"1": 2}'):
        (folder / "outcomes.json").write_bytes(content)
        assert read_outcomes(folder) == {}


def test_the_runs_of_a_sweep_are_found_by_what_their_folders_say(tmp_path):
    config = preset_config("tutorial")
    own = Membership(sweep="rates", number=2)
    first = create_run_folder(tmp_path, config, name="rates-2", membership=own)
    create_run_folder(tmp_path, config, membership=Membership(sweep="others", number=1))
    create_run_folder(tmp_path, config)
    assert (read_name(first), read_membership(first)) == ("rates-2", own)
    found = member_folders(tmp_path, "rates", {})
    assert found == {2: first}
    moved = first.rename(tmp_path / "mine")
    assert member_folders(tmp_path, "rates", found) == {2: moved}
    write_membership(moved, Membership(sweep="others", number=2))
    assert member_folders(tmp_path, "rates", {}) == {}
    (moved / "sweep").write_text("rates\nmany\n")
    assert read_membership(moved) is None


def test_stopping_hopeless_runs_needs_validation_images():
    with pytest.raises(ConfigError, match="never on test images"):
        made_plan(eta=3)


def test_a_plan_says_what_its_runs_are():
    plan = made_plan(seeds=range(6))
    assert plan.run_name(3) == "rates-03"
    assert plan.described(8) == "lr 0.2, seed 1"
    assert plan.values(8) == (0.2,)
