"""The options of the commands."""

import subprocess
import sys

import pytest

from cifar_tui.cli.parser import build_settings, parse
from cifar_tui.engine.config.schema import TrainConfig

TRAINING = {"--epochs", "--batch-size", "--lr", "--seed"}
RECIPE = {"--preset", "--set", "--config"}
IMAGES = {"--data", "--data-dir", "--device"}


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ([], TRAINING | RECIPE | IMAGES | {"--checkpoints"}),
        (["train"], TRAINING | RECIPE | IMAGES | {"--checkpoints"}),
        (["eval"], RECIPE | IMAGES | {"--checkpoints"}),
        (["attach"], {"--checkpoints"}),
        (["runs"], {"--checkpoints"}),
        (["bench"], IMAGES | {"--preset"}),
    ],
)
def test_each_command_shows_only_its_own_options(capsys, command, shown):
    with pytest.raises(SystemExit):
        parse([*command, "--help"])
    words = set(capsys.readouterr().out.replace("[", " ").split())
    assert words & (TRAINING | RECIPE | IMAGES | {"--checkpoints"}) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epochs", "5", "attach"],
        ["--set", "seed=1", "runs"],
        ["--epochs", "3", "bench"],
        ["--checkpoints", "runs", "bench"],
        ["--batch-size", "4", "--seed", "1", "--lr", "0.1", "bench"],
    ],
)
def test_a_setting_that_a_command_would_ignore_is_bad_usage(capsys, arguments):
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    assert exit_.value.code == 2
    assert f"takes no {arguments[0]}" in capsys.readouterr().err


def test_the_options_of_the_benchmarks_may_stand_before_the_command():
    options = parse(["--preset", "quick", "--device", "cpu", "--data", "cifar10", "bench", "presets"])
    assert (options.preset, options.device, options.data) == ("quick", "cpu", "cifar10")


def test_options_before_and_after_the_command_are_the_same():
    before, after = (
        build_settings(parse(arguments))
        for arguments in (["--epochs", "5", "train"], ["train", "--epochs", "5"])
    )
    assert before == after == TrainConfig(epochs=5)


def test_help_and_version_import_neither_torch_nor_textual():
    code = (
        "import sys, contextlib, cifar_tui.cli.main\n"
        "for option in ('--help', '--version'):\n"
        "    with contextlib.suppress(SystemExit): cifar_tui.cli.main.main([option])\n"
        "sys.exit(bool({'torch', 'textual', 'rich', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
