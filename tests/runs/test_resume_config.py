"""What a run can be resumed with, and what is refused."""

import dataclasses
import json
import math
import os
from pathlib import Path

import pytest
import torch

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Phase
from cifar_tui.engine.steps.select import resolve_backend
from cifar_tui.runs.disk.config import with_absolute_folders
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.disk.summary import RunSummary, write_summary
from cifar_tui.runs.resume_config import (
    changes_since_checkpoint,
    config_to_resume,
    has_finished,
    plan_resume,
    why_not_resumable,
)
from tests.runs.listed import listed
from tests.runs.made_events import STARTED, evaluated, finished, folded

OWN = TrainConfig(data="synthetic", model="resnet18", epochs=3, batch_size=8, learning_rate=0.01, seed=5)
CHANGEABLE = {
    "epochs": 9,
    "data": "cifar10",
    "data_dir": "elsewhere",
    "device": "cuda:1",
    "tta": "mirror",
    "eval_every": 2,
    "patience": 3,
    "checkpoint_every_epochs": 0,
    "checkpoint_every_minutes": 0.5,
    "rank_timeout": 5.0,
}
OTHERS = {
    "image_size": 64,
    "normalization": "imagenet",
    "weights": "start.pth",
    "freeze": "backbone",
    "freeze_epochs": 2,
    "batch_size": 4,
    "optimizer": "adamw",
    "learning_rate": 0.1,
    "bias_lr": 1.0,
    "head_lr": 1.0,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "lr_schedule": "cosine",
    "warmup_fraction": 0.1,
    "warmup_start_factor": 0.1,
    "final_lr_factor": 0.1,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "sampler": "weighted",
    "weight_averaging": "ema",
    "ema_decay": 0.5,
    "translate": 2,
    "flip": "random",
    "cutout": 8,
    "low_res_fraction": 0.5,
    "random_resized_crop": 0.25,
    "rand_augment": 9,
    "color_jitter": 0.4,
    "mixup": 0.2,
    "cutmix": 1.0,
    "precision": "bf16",
    "channels_last": True,
    "accumulate": 2,
    "sync_batchnorm": True,
    "compile": "yes",
    "seed": 6,
    "log_every": 10,
    "chart_every": 7,
    "val_size": 100,
    "backend": "eager",
}


@pytest.fixture
def folder(tmp_path):
    """A run that was stopped and saved."""
    folder = tmp_path / "20260101-120000"
    folder.mkdir()
    write_config(folder, OWN)
    (folder / "last.pt").write_bytes(b"")
    return folder


def complete(folder, *, epoch=0):
    write_summary(folder, RunSummary(phase=Phase.DONE, completed=True, epoch=epoch))
    (folder / "report.json").write_text("{}")


def refusal(folder, wanted=None):
    """The one sentence with which the run is not resumed."""
    with pytest.raises(ConfigError) as refused:
        config_to_resume(folder, wanted)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert folder.name in sentence
    return sentence


def test_a_stopped_run_goes_on_with_its_own_settings(folder):
    assert config_to_resume(folder) == OWN
    assert config_to_resume(folder, OWN) == OWN


def test_a_crashed_run_goes_on_with_its_own_settings(folder):
    (folder / "lock").write_text(json.dumps({"pid": 7, "host": "elsewhere"}))
    assert refusal(folder).startswith("run 20260101-120000 is already running in process 7 on elsewhere")
    (folder / "lock").write_text("damaged")
    assert config_to_resume(folder) == OWN


def test_a_live_run_is_refused_and_how_to_attach_to_it_is_said(folder):
    lock = RunLock(folder)
    lock.acquire()
    assert f"is already running in process {lock_pid(folder)}" in refusal(folder)
    assert "cifar-tui attach 20260101-120000" in refusal(folder)
    lock.release()
    assert config_to_resume(folder) == OWN


def lock_pid(folder):
    return json.loads((folder / "lock").read_text())["pid"]


def test_a_run_without_a_checkpoint_is_refused(folder):
    (folder / "last.pt").unlink()
    assert "no checkpoint to resume from" in refusal(folder)


@pytest.mark.parametrize("put", [lambda path: path.symlink_to("theirs"), os.mkfifo, Path.mkdir])
def test_what_is_no_file_of_the_run_is_no_checkpoint_of_it(folder, put):
    (folder / "last.pt").rename(folder / "theirs")
    put(folder / "last.pt")
    assert "no checkpoint to resume from" in refusal(folder)


def test_a_complete_run_is_refused_unless_there_are_more_epochs(folder):
    complete(folder)
    advice = f"to train longer: cifar-tui train --epochs N --resume {folder.name}"
    assert f"already finished; {advice}" in refusal(folder)
    assert "with N above 3" in refusal(folder)
    assert "already finished" in refusal(folder, OWN.replace(epochs=2))
    assert config_to_resume(folder, OWN.replace(epochs=4)).epochs == 4


def test_a_run_whose_last_evaluation_is_missing_is_not_complete(folder):
    complete(folder)
    (folder / "report.json").unlink()
    assert config_to_resume(folder) == OWN


def test_a_run_that_was_stopped_and_evaluated_is_not_complete(folder):
    complete(folder)
    write_summary(folder, RunSummary(phase=Phase.DONE, completed=False))
    assert config_to_resume(folder) == OWN


@pytest.mark.parametrize("name", CHANGEABLE)
def test_epochs_places_and_the_device_may_change(folder, name):
    wanted = OWN.replace(**{name: CHANGEABLE[name]})
    assert config_to_resume(folder, wanted) == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_that_would_make_it_another_run_is_refused_with_both_values(folder, name):
    with pytest.raises(ConfigError) as refused:
        config_to_resume(folder, OWN.replace(**{name: OTHERS[name]}))
    assert refused.value.field == name
    values = f"with {name} {OTHERS[name]!r}: it was trained with {getattr(OWN, name)!r}"
    assert str(refused.value) == f"run {folder.name} cannot be resumed {values}"


@pytest.mark.parametrize("same", ["nets.py", "./nets.py", "inner/../nets.py", "../{name}/nets.py"])
def test_another_way_to_write_the_file_of_a_net_is_no_other_net(folder, monkeypatch, same):
    monkeypatch.chdir(folder)
    own = OWN.replace(model=f"{folder / 'nets.py'}:Net")
    write_config(folder, own)
    wanted = own.replace(model=f"{same.format(name=folder.name)}:Net")
    assert config_to_resume(folder, wanted) == own


def test_a_run_is_not_resumed_with_fewer_epochs_than_it_has_trained(folder):
    write_summary(folder, RunSummary(epoch=3))
    assert "already in epoch 3; set epochs to at least 3" in refusal(folder, OWN.replace(epochs=2))


def test_images_of_another_size_are_refused(folder):
    own = OWN.replace(model="resnet18", image_size=64)
    write_config(folder, own)
    refused = refusal(folder, own.replace(image_size=96))
    assert refused.endswith("cannot be resumed with image_size 96: it was trained with 64")


def test_every_setting_either_may_change_or_is_refused():
    apart = {"preset", "model", "pretrained", "image_size", "optimizer_options"}
    assert CHANGEABLE.keys() | OTHERS.keys() | apart == SETTINGS.keys()
    assert CHANGEABLE.keys() == {name for name, field in SETTINGS.items() if field.metadata["resumable"]}


@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_may_change_does_not_change_the_backend(name):
    config = TrainConfig().replace(**{name: CHANGEABLE[name]})
    assert resolve_backend(config, torch.device("cuda", 0), images=100_000).backend.name == "cuda_graph"


@pytest.mark.parametrize("content", [None, "epochs = ", "epochs = 0", "colour = 1"])
def test_a_configuration_that_cannot_be_read_is_a_sentence(folder, content):
    (folder / "config.toml").unlink()
    if content is not None:
        (folder / "config.toml").write_text(content)
    with pytest.raises(ConfigError) as refused:
        config_to_resume(folder)
    assert "\n" not in str(refused.value)


def test_a_plan_takes_what_may_change_from_the_form_and_names_what_stays(folder):
    form = OWN.replace(epochs=9, device="cpu", learning_rate=0.02, momentum=0.5)
    plan = plan_resume(folder, form)
    assert plan.config == with_absolute_folders(OWN.replace(epochs=9, device="cpu"))
    assert plan.changes == "epochs 3 → 9, device auto → cpu"
    assert plan.kept == {"learning_rate": (0.01, 0.02), "momentum": (0.9, 0.5)}
    assert plan_resume(folder, OWN).config == with_absolute_folders(OWN)


def test_a_plan_is_refused_as_a_resume_is(folder):
    complete(folder)
    with pytest.raises(ConfigError, match="already finished"):
        plan_resume(folder, OWN.replace(learning_rate=0.5))
    assert plan_resume(folder, OWN.replace(epochs=4)).config.epochs == 4


def test_a_run_that_stopped_early_is_refused_unless_it_has_more_patience(folder):
    own = OWN.replace(patience=2)
    write_config(folder, own)
    complete(folder, epoch=2)
    refused = refusal(folder)
    assert "stopped early, after epoch 2 of 3; to train longer: " in refused
    assert f"cifar-tui train --set patience=N --resume {folder.name} " in refused
    assert refused.endswith(", with N above 2, or none")
    assert "stopped early" in refusal(folder, own.replace(epochs=9)), "more epochs alone change nothing"
    assert "stopped early" in refusal(folder, own.replace(patience=1))
    for patience in (3, 0):
        assert config_to_resume(folder, own.replace(patience=patience)).patience == patience
        assert plan_resume(folder, own.replace(patience=patience)).config.patience == patience
    (folder / "report.json").unlink()
    assert config_to_resume(folder) == own, "its last evaluation is left to do"


def test_the_list_says_how_a_run_that_stopped_early_trains_longer():
    run = listed("run", state="done", epochs=3, patience=2)  # after two epochs
    assert why_not_resumable(run, 9) == (
        "Run run stopped early, after epoch 2. To train longer, open it, raise patience in Settings and "
        "press u."
    )
    assert why_not_resumable(listed("run", state="stopped", epochs=3, patience=2), 3) == ""


@pytest.mark.parametrize(
    ("state", "epochs", "reason"),
    [
        ("stopped", 0, ""),
        ("crashed", 1, ""),
        ("failed", 3, ""),
        ("done", 3, "already finished. To train longer, set more epochs in Settings first."),
        ("done", 4, ""),
        ("running", 9, "already running"),
        ("paused", 9, "already running"),
    ],
)
def test_a_finished_run_is_resumed_only_with_more_epochs(state, epochs, reason):
    assert reason in why_not_resumable(listed("run", state=state, epochs=3), epochs)
    assert bool(reason) == bool(why_not_resumable(listed("run", state=state, epochs=3), epochs))


def test_a_run_has_finished_once_its_last_evaluation_is_there():
    over = finished()
    assert not has_finished(folded(STARTED).snapshot())
    assert not has_finished(folded(STARTED, over).snapshot())
    assert has_finished(folded(STARTED, over, evaluated(300, 60, final=True)).snapshot())
    early = finished(early_stop="stopped early after epoch 2")
    assert not has_finished(folded(STARTED, early, evaluated(300, 60, final=True)).snapshot())
    stopped = finished(completed=False, step=100)
    assert not has_finished(folded(STARTED, stopped, evaluated(100, 60, final=True)).snapshot())


def saved_settings(**changes):
    return dataclasses.asdict(OWN) | changes


def test_settings_that_may_change_are_named_with_both_values():
    assert changes_since_checkpoint(saved_settings(), OWN, run="r") == ""
    changes = changes_since_checkpoint(saved_settings(epochs=2, tta="mirror"), OWN, run="r")
    assert changes == "epochs 2 → 3, tta mirror → none"


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_checkpoint_of_another_setting_is_refused_with_both_values(name):
    value = OTHERS[name]
    with pytest.raises(ConfigError) as refused:
        changes_since_checkpoint(saved_settings(**{name: value}), OWN, run="r")
    sentence = str(refused.value)
    assert name in sentence
    assert repr(value) in sentence
    assert repr(getattr(OWN, name)) in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "0.01"),
        ("learning_rate", math.nan),
        ("learning_rate", None),
        ("batch_size", True),
        ("batch_size", 10**5000),
        ("seed", 5.0),
        ("momentum", [0.9]),
        ("epochs", -1),
        ("epochs", "3"),
        ("device", "quantum\x1b[2J"),
        ("data", ""),
        ("optimizer", "x" * 10_000),
        ("flip", {"a": 1}),
    ],
    ids=[str(number) for number in range(13)],
)
def test_a_checkpoint_with_a_value_that_is_none_is_one_short_sentence(name, value):
    with pytest.raises(ConfigError) as refused:
        changes_since_checkpoint(saved_settings(**{name: value}), OWN, run="r")
    sentence = str(refused.value)
    assert name in sentence
    assert sentence.isprintable()
    assert len(sentence) < 250


def test_a_checkpoint_of_another_version_is_refused():
    with pytest.raises(ConfigError, match="has an unknown setting 'aaa'"):
        changes_since_checkpoint(saved_settings(aaa=1), OWN, run="r")
    without = saved_settings()
    del without["momentum"]
    with pytest.raises(ConfigError, match="lacks the setting 'momentum'"):
        changes_since_checkpoint(without, OWN, run="r")


def test_a_checkpoint_from_before_a_setting_was_added_had_its_default():
    before = saved_settings()
    for name in ("class_weights", "sampler", "patience"):
        del before[name]
    assert changes_since_checkpoint(before, OWN, run="r") == ""
    with pytest.raises(ConfigError, match=r"has sampler 'weighted', but last\.pt was trained"):
        changes_since_checkpoint(before, OWN.replace(sampler="weighted"), run="r")
