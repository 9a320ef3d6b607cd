"""The script that completes commands, in a real bash; other shells get a script by the same library."""

import subprocess

import pytest

from cifar_tui.cli.completion import completion_script
from cifar_tui.cli.options import SHELLS
from cifar_tui.engine.models.published.names import published_names

PUBLISHED = ["CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10", "Flowers102"]

TRY = """
source ./script
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"$(complete -p cifar-tui | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${COMPREPLY[@]}"
"""

DENSENETS = ["densenet121", "densenet161", "densenet169"]


@pytest.fixture
def completed(tmp_path):
    """Gives what bash completes the last of some words with, in a folder with two runs, one of them named."""
    (tmp_path / "script").write_text(completion_script("bash"))
    (tmp_path / "net.pth").touch()
    (tmp_path / "cifar.tar.gz").touch()
    (tmp_path / "cats.csv").touch()
    (tmp_path / "cats.npz").touch()
    for run in ("20260101-100000", "20260102-100000"):
        (tmp_path / "checkpoints" / run).mkdir(parents=True)
    (tmp_path / "checkpoints" / "20260101-100000" / "name").write_text("baseline\n")
    (tmp_path / "checkpoints" / "sweeps" / "rates").mkdir(parents=True)
    (tmp_path / "checkpoints" / "20260102-100000" / "name").write_text("$(touch${IFS}run)\n")

    def completed(*words):
        command = ["bash", "--norc", "-c", TRY, "bash", "cifar-tui", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        assert not (tmp_path / "run").exists(), "a name is no code"
        return done.stdout.split()

    return completed


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["tr"], ["train"]),
        (["train", "--re"], ["--resume"]),
        (["l"], ["lr"]),
        (["lr", "--f"], ["--from"]),
        (["runs", "--re"], []),
        (["train", "--preset", "s"], ["speedrun"]),
        (["--preset", "q"], ["quick"]),
        (["presets", "m"], ["max"]),
        (["train", "--set", "warmup"], ["warmup_fraction=", "warmup_start_factor="]),
        (["train", "--set", "flip", "="], ["none", "random", "alternating"]),  # as bash splits it
        (["train", "--set", "flip", "=", "r"], ["random"]),
        (["train", "--resume", "b"], ["baseline"]),
        (["sweep", "--resume", ""], ["rates"]),
        (["attach", "s"], []),
        (["attach", ""], ["20260101-100000", "20260102-100000", "baseline", "latest"]),
        (["eval", "n"], ["net.pth"]),
        (["eval", "l"], ["latest"]),
        (["train", "--data", "c"], ["cifar10", "checkpoints", "cifar.tar.gz", "cats.csv", "cats.npz"]),
        (["train", "--data", "torchvision", ":"], PUBLISHED),  # as bash splits it
        (["train", "--data", "torchvision", ":", "S"], ["SVHN", "STL10"]),
        (["train", "--set", "model", "=", "torchvision", ":", "densenet1"], DENSENETS),
        (["train", "--set", "data", "=", "torchvision", ":", "S"], ["SVHN", "STL10"]),
        (["train", "--set", "model", "=", "torchvision", ":"], list(published_names())),
        (
            ["train", "--data", "checkpoints/"],
            ["checkpoints/20260101-100000", "checkpoints/20260102-100000", "checkpoints/sweeps"],
        ),
        (["train", "--data", "n"], []),
        (["predict", "l"], ["latest"]),
        (["predict", "latest", "n"], ["net.pth"]),
        (["predict", "latest", "net.pth", "n"], ["net.pth"]),
        (["predict", "--to"], ["--top"]),
        (["train", "--config", "s"], ["script"]),
        (["completion", "z"], ["zsh"]),
        (["export", "b"], ["baseline"]),
        (["export", "latest", "baseline", "--h"], ["--help", "--html"]),
        (["export", "latest", "--html", "s"], ["script"]),
        (["export", "latest", "--svg", "c"], ["checkpoints"]),
    ],
)
def test_a_tab_completes_what_can_stand_there(completed, words, candidates):
    assert completed(*words) == candidates


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_on_stdout(cli, shell):
    result = cli.run("completion", shell)
    assert (result.returncode, result.stderr) == (0, "")
    assert "airbench94" in result.stdout
