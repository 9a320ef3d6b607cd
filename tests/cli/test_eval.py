"""`cifar-tui eval`: weights of any model and any wrapping, and classes that have other names."""

import json
import os
import shutil

import pytest
import safetensors.torch
import torch

from cifar_tui.engine.models.registry import create_model
from tests.cli.command import assert_one_sentence


@pytest.fixture
def weights(tmp_path):
    """Weights of another model than the tutorial's, in half precision, wrapped."""
    torch.manual_seed(0)
    net = create_model("airbench-tiny", num_classes=3)
    return {f"module.{name}": t.half() for name, t in net.state_dict().items()}


def evaluate(cli, target, image_folder, *options):
    return cli.run("eval", target, "--data", image_folder, "--device", "cpu", *options)


@pytest.mark.parametrize("save", [torch.save, safetensors.torch.save_file])
def test_the_model_need_not_be_named_and_what_was_unwrapped_is_one_line(
    cli, tmp_path, image_folder, weights, save
):
    save(weights, tmp_path / "w.ckpt")
    result = evaluate(cli, "w.ckpt", image_folder, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["test"]["total"] == 12
    (line,) = [line for line in result.stderr.splitlines() if "without" in line]
    assert line.startswith("cifar-tui: 'w.ckpt': without 'module.' before every name; converted from float16")
    assert line.endswith("; model airbench-tiny, by its names and shapes")
    assert result.stderr.count("'w.ckpt' names no classes: assuming the class order of folder") == 1


def test_a_model_that_is_named_and_does_not_fit_is_refused(cli, tmp_path, image_folder, weights):
    torch.save(weights, tmp_path / "w.pth")
    (tmp_path / "net.toml").write_text('model = "net"\n')
    for options in (["--set", "model=net"], ["--preset", "tutorial"], ["--config", "net.toml"]):
        result = evaluate(cli, "w.pth", image_folder, *options)
        assert_one_sentence(result, 2, "does not match the model net: ", "use --set model=airbench-tiny")


def test_settings_from_a_pipe_which_can_be_read_only_once_count(cli, tmp_path, image_folder, weights):
    torch.save(weights, tmp_path / "w.pth")
    reader, writer = os.pipe()
    try:
        os.write(writer, b'model = "net"\n')
        os.close(writer)
        result = evaluate(cli, "w.pth", image_folder, "--config", f"/dev/fd/{reader}")
    finally:
        os.close(reader)
    assert_one_sentence(result, 2, "does not match the model net: ")


@pytest.mark.parametrize("name", ["none.pth", "none.ckpt", "none.pth.tar", "none.safetensors"])
def test_a_file_of_weights_that_is_not_there_is_not_taken_for_a_run(cli, image_folder, name):
    assert_one_sentence(evaluate(cli, name, image_folder), 2, f"cannot read '{name}': No such file")


def test_a_run_is_not_evaluated_or_resumed_on_other_classes_unless_told_to(cli, image_folder):
    short = ["--set", "log_every=9", "--data", image_folder]
    assert cli.train("--epochs", "1", "--name", "first", *short).returncode == 0
    before = json.loads(evaluate(cli, "first", image_folder, "--json").stdout)
    for part in ("train", "test"):
        (image_folder / part / "red").rename(image_folder / part / "Red")  # which sorts before the others
    refused = evaluate(cli, "first", image_folder)
    assert_one_sentence(refused, 2, "the classes differ", "rename 'Red' to 'red'")
    result = evaluate(cli, "first", image_folder, "--json", "--assume-class-order")
    after = json.loads(result.stdout)["test"]
    assert (after["correct"], after["per_class"]) == (before["test"]["correct"], before["test"]["per_class"])
    assert "have the same order: Red is red in 'cifar_net.pth'" in result.stderr
    resume = ["--resume", "first", "--epochs", "2", "--data", image_folder]
    refused = cli.train(*resume)
    assert refused.returncode == 2
    assert "only this run has red" in refused.stderr.splitlines()[-1]
    assert "add --assume-class-order to 'cifar-tui train --resume'" in refused.stderr.splitlines()[-1]
    resumed = cli.train(*resume, "--assume-class-order")
    assert resumed.returncode == 0, resumed.stderr
    assert "have the same order: Red is red in this run" in resumed.stderr


def test_an_order_can_only_be_assumed_of_a_run_that_has_one(cli, image_folder):
    result = cli.train("--assume-class-order", "--data", image_folder)
    assert_one_sentence(result, 2, "--assume-class-order needs --resume")


def test_weights_without_their_run_are_evaluated_with_a_seed_that_is_said(cli, tmp_path, image_folder):
    pictures = image_folder / "train"  # without a split of its own
    options = ["--data", pictures, "--epochs", "1", "--seed", "7", "--set", "log_every=9", "--name", "first"]
    assert cli.train(*options).returncode == 0
    shutil.copy(next((tmp_path / "checkpoints").glob("*/cifar_net.pth")), tmp_path / "kept.pth")

    def said(target, *more):
        result = evaluate(cli, target, *more)
        assert result.returncode == 0, result.stderr
        return [line for line in result.stderr.splitlines() if "test images chosen with seed" in line]

    assert said("first", pictures) == said("kept.pth", pictures, "--set", "seed=7") == []
    assert said("kept.pth", image_folder) == [], "it has a test set"
    (assumed,) = said("kept.pth", pictures)
    assert assumed == (
        "cifar-tui: test images chosen with seed 0; if the weights were trained on this folder with another "
        "seed, they have seen some of them: add --set seed=N"
    )
    (other,) = said("first", pictures, "--set", "seed=3")
    assert "seed 3; if" in other
    assert other.endswith("with seed 7, they have seen some of them: add --set seed=7")
