"""An architecture of torchvision on the command line: trained, resumed, evaluated, or refused."""

import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.models.load import library_model
from cifar_tui.runs.disk.store import write_config
from tests.cli.command import COMMAND, wait_until

SIZE = 64
"""Of the images, in pixels."""

MODEL = ("--set", "model=torchvision:resnet18", "--set", f"image_size={SIZE}")
RESNET18 = (*MODEL, "--device", "cpu", "--epochs", "2", "--set", "batch_size=2", "--set", "chart_every=1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of 96×80 pixels and three classes, each with a bright square in a place of its own."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(5)
    for part, count in (("train", 8), ("test", 4)):
        for place, name in enumerate(("left", "middle", "right")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 120, (80, 96, 3), dtype=np.uint8)
                pixels[20:60, 32 * place : 32 * (place + 1)] += 120
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


def runs_of(folder):
    return sorted((folder / "checkpoints").iterdir())


def saved(folder):
    return torch.load(folder / "cifar_net.pth", weights_only=True)


def losses(folder):
    """The loss of every step, of those that were trained twice the later one."""
    events = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    return {event["step"]: event["loss"] for event in events if event.get("event") == "LossPoint"}


def test_resnet18_is_trained_evaluated_predicted_with_resumed_after_a_kill_and_compared(cli, photos):
    trained = cli.train("--data", photos, *RESNET18, "--name", "whole")
    assert trained.returncode == 0, trained.stderr
    with subprocess.Popen(
        [*COMMAND, "train", "--headless", "--data", photos, *RESNET18, "--name", "killed"],
        cwd=cli.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as program:
        wait_until(lambda: len(runs_of(cli.cwd)) == 2 and (runs_of(cli.cwd)[1] / "last.pt").exists())
        os.kill(program.pid, signal.SIGKILL)
    whole, killed = runs_of(cli.cwd)
    assert not (killed / "report.json").exists()
    resumed = cli.run("train", "--headless", "--resume", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert "may differ" not in resumed.stderr
    assert losses(killed) == losses(whole)
    assert len(losses(whole)) == 24
    expected = saved(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in saved(killed).items())

    evaluated = [
        json.loads(cli.run("eval", *weights, "--device", "cpu", "--json").stdout)
        for weights in (("whole",), (move(whole, cli), "--data", photos, *MODEL))
    ]
    assert (
        evaluated[0]["test"]
        == evaluated[1]["test"]
        == json.loads((whole / "report.json").read_text())["test"]
    )
    predicted = cli.run("predict", "whole", photos / "test" / "left", "--json", "--device", "cpu")
    assert predicted.returncode == 0, predicted.stderr
    assert len(json.loads(predicted.stdout)["predictions"]) == 4
    other = cli.train("--data", photos, "--epochs", "1", "--name", "other")
    assert other.returncode == 0, other.stderr
    compared = cli.run("runs", "whole", "killed", "other")
    assert re.search(r"model +torchvision:resnet18 +torchvision:resnet18 +net\n", compared.stdout)


def move(folder, cli):
    """A copy of the weights outside of the folder of their run."""
    (cli.cwd / "w.pth").write_bytes((folder / "cifar_net.pth").read_bytes())
    return "w.pth"


def test_a_run_without_its_last_pt_predicts_with_the_normalization_of_its_published_weights(
    cli, photos, tmp_path
):
    name = "torchvision:squeezenet1_1"
    run = tmp_path / "run"
    run.mkdir()
    torch.manual_seed(0)
    torch.save(library_model(name).build(num_classes=3, image_size=32).state_dict(), run / "cifar_net.pth")

    def predicted(**settings):
        write_config(run, TrainConfig(model=name, **settings))
        result = cli.run("predict", run / "cifar_net.pth", photos / "test" / "left" / "0.png", "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["predictions"]

    assert predicted(pretrained=True) == predicted(normalization="imagenet") != predicted()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ["model=torchvision:resnet81"],
            "'torchvision:resnet81' is not in torchvision; did you mean 'resnet18'?",
        ),
        (
            ["model=torchvision:alexnet"],
            "torchvision:alexnet does not take a training batch of 4 images of 32×32 pixels (RuntimeError: ",
        ),
        (
            ["pretrained=yes"],
            "pretrained 'yes' needs model torchvision:NAME, which alone has published weights; set ",
        ),
        (
            ["pretrained=yes", "model=torchvision:resnet18", "weights=w.pth"],
            "pretrained 'yes' and weights 'w.pth' are two starts: set one of them",
        ),
        (["weights=w.pth"], "w.pth' do not exist: set the path of a file"),
        (["weights=words.txt"], "words.txt' is not a PyTorch checkpoint"),
        (["model=torchvision:resnet18", "precision=fp16"], "precision 'fp16' is only stable with airbench"),
    ],
    ids=["wrong name", "too small", "nothing published", "two starts", "no file", "no weights", "fp16"],
)
def test_what_cannot_train_is_one_sentence(cli, photos, settings, words):
    (cli.cwd / "words.txt").write_text("no weights")
    options = [option for setting in settings for option in ("--set", setting)]
    refused = cli.train("--data", photos, *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert words in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert not list(cli.cwd.glob("checkpoints/*/*"))
