"""The options of the commands, what `--help` says of them, and what a wrong word is answered with."""

import dataclasses
import re
import subprocess
import sys

import pytest
import tomli_w

from cifar_tui.cli.options import COMMANDS
from cifar_tui.cli.parser import build_settings, checkpoints_folder, parse
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import TrainConfig, preset_values
from cifar_tui.engine.config.text import setting_text
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.registry import MODELS
from tests.cli.command import assert_one_sentence

TRAINING = {"--epochs", "--batch-size", "--lr", "--seed"}
RECIPE = {"--preset", "--set", "--config"}
IMAGES = {"--data", "--data-dir", "--device"}
*FIRST_COMMANDS, LAST_COMMAND = COMMANDS


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["train"], TRAINING | RECIPE | IMAGES | {"--checkpoints"}),
        (["eval"], RECIPE | IMAGES | {"--checkpoints"}),
        (["predict"], {"--set", "--device", "--checkpoints"}),
        (["lr"], TRAINING | RECIPE | IMAGES),
        (["attach"], {"--checkpoints"}),
        (["runs"], {"--checkpoints"}),
        (["export"], {"--checkpoints"}),
        (["presets"], set()),
        (["bench"], IMAGES | {"--preset"}),
        (["completion"], set()),
    ],
)
def test_each_command_shows_only_its_own_options(capsys, command, shown):
    with pytest.raises(SystemExit):
        parse([*command, "--help"])
    words = set(capsys.readouterr().out.replace("[", " ").split())
    assert words & (TRAINING | RECIPE | IMAGES | {"--checkpoints"}) == shown


@pytest.fixture
def shown_help(capsys, monkeypatch):
    """Gives the lines of the help of a command in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def shown_help(*command):
        with pytest.raises(SystemExit) as exit_:
            parse([*command, "--help"])
        assert exit_.value.code == 0
        return capsys.readouterr().out.splitlines()

    return shown_help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_fits_80_columns(shown_help, command):
    lines = shown_help(*command.split())
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"usage: cifar-tui {command}".rstrip())


def test_the_help_of_the_program_names_every_command_on_less_than_a_screen(shown_help):
    lines = shown_help()
    assert len(lines) <= 36
    for name, command in COMMANDS.items():
        assert any(line.split() == [name, *command.summary.split()] for line in lines)


def test_the_help_of_train_lists_every_setting_preset_and_model(shown_help):
    text = "\n".join(shown_help("train"))
    for name, value in dataclasses.asdict(TrainConfig()).items():
        default = setting_text(name, value)
        assert re.search(rf"^  {name} +{re.escape(default)} +\S", text, re.MULTILINE), name
    for name in [*PRESETS, *MODELS]:
        assert re.search(rf"^  {name}  ", text, re.MULTILINE), name
    assert "constant, linear, cosine, one-cycle" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("trian", "no command 'trian'; did you mean 'train'?"),
        ("xyz", f"no command 'xyz'; the commands are {', '.join(FIRST_COMMANDS)} and {LAST_COMMAND}"),
        ("--epoch 5", "unknown option --epoch; did you mean '--epochs'?"),
        ("train --epoch 5", "unknown option --epoch; did you mean '--epochs'?"),
        ("--epcohs 5 train", "unknown option --epcohs; did you mean '--epochs'?"),
        ("train --batch_size=5", "unknown option --batch_size; did you mean '--batch-size'?"),
        ("train --momentum 0.9", "unknown option --momentum; did you mean '--set momentum=VALUE'?"),
        ("train --wieght-decay 1", "unknown option --wieght-decay; did you mean '--set weight_decay=VALUE'?"),
        ("runs --wieght-decay 1", "unknown option --wieght-decay; see 'cifar-tui runs --help'"),
        ("runs --resume latest", "'runs' takes no --resume; 'train' and 'sweep' do"),
        ("--headless", "the dashboard takes no --headless; 'train' and 'eval' do"),
        ("train quick", "unexpected argument 'quick'; did you mean '--preset quick'?"),
        ("attach one two", "unexpected argument 'two'; see 'cifar-tui attach --help'"),
        ("train --epochs", "--epochs needs a value: --epochs N"),
        ("train --epochs --json", "--epochs needs a value: --epochs N"),
        ("train --data-dir --x", "--data-dir needs a value: --data-dir DIR"),
        ("train --json=yes", "--json takes no value"),
        ("eval", "the following arguments are required: RUN|FILE.pth; see 'cifar-tui eval --help'"),
        ("predict x", "the following arguments are required: IMAGE; see 'cifar-tui predict --help'"),
        ("bench -n0", "-n must be a whole number, at least 1; see 'cifar-tui bench --help'"),
        ("bench all", "NAME must be one of tutorial, presets, not 'all'; see 'cifar-tui bench --help'"),
    ],
)
def test_a_wrong_word_is_answered_once_with_what_to_write(cli, arguments, says):
    result = cli.run(*arguments.split())
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"cifar-tui: {says}\n")


def test_a_wrong_setting_or_preset_is_answered_once_with_the_nearest(cli):
    for arguments, nearest in (
        (["--set", "lerning_rate=1"], "learning_rate"),
        (["--preset", "quik"], "quick"),
    ):
        assert_one_sentence(cli.run("train", *arguments), 2, f"did you mean {nearest!r}?")


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


def test_settings_before_and_after_the_command_add_up():
    options = parse(
        ["--set", "seed=1", "--lr", "0.1", "train", "--set", "epochs=3", "--learning-rate", "0.2"]
    )
    assert build_settings(options) == TrainConfig(seed=1, epochs=3, learning_rate=0.2)


def test_an_options_value_is_no_command_and_no_option():
    options = parse(["--data", "runs", "train", "--name", "eval"])
    assert (options.command, options.data, options.name) == ("train", "runs", "eval")


def test_a_tilde_in_an_option_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my.toml").write_text("epochs = 7")
    options = parse(["train", "--checkpoints=~/runs", "--config=~/my.toml"])
    assert checkpoints_folder(options) == tmp_path / "runs"
    assert build_settings(options).epochs == 7


def test_help_and_version_import_neither_torch_nor_textual():
    code = (
        "import sys, contextlib, cifar_tui.cli.main\n"
        "for words in (['--help'], ['--version'], ['train', '--help']):\n"
        "    with contextlib.suppress(SystemExit): cifar_tui.cli.main.main(words)\n"
        "sys.exit(bool({'torch', 'textual', 'rich', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


WHOLE = preset_values("tutorial")


@pytest.mark.parametrize(
    ("in_file", "words", "says"),
    [
        ({"preset": "tutorial", **WHOLE}, ["--preset", "quick"], "leave out one of them"),
        ({"preset": "tutorial"}, ["--preset", "quick"], "leave out one of them"),
        ({"preset": "max", "epochs": 1}, ["--set", "preset=quick"], "leave out one of them"),
        ({"preset": 3}, ["--preset", "quick"], "leave out one of them"),
        (WHOLE, ["--preset", "quick"], "overrides every setting"),
        (WHOLE | {"seed": 3, "data": "x"}, ["--preset", "max"], "overrides every setting"),
        (preset_values("quick") | {"momentum": 0.5}, ["--preset", "quick"], "overrides every setting"),
    ],
)
@pytest.mark.parametrize("command", [["train"], [], ["eval", "x.pth"]])
def test_a_preset_that_a_file_overrides_whole_is_refused(tmp_path, in_file, words, says, command):
    path = tmp_path / "c.toml"
    path.write_text(tomli_w.dumps({name: "" if value is None else value for name, value in in_file.items()}))
    with pytest.raises(ConfigError, match=says):
        build_settings(parse([*command, "--config", str(path), *words]))


@pytest.mark.parametrize(
    ("in_file", "words", "expected"),
    [
        ({"epochs": 3}, ["--preset", "quick"], ("quick", "airbench-tiny", 3)),
        ({"epochs": 3}, ["--preset", "quick", "--epochs", "5"], ("quick", "airbench-tiny", 5)),
        ({"preset": "quick", "epochs": 3}, ["--preset", "quick"], ("quick", "airbench-tiny", 3)),
        ({"preset": "quick", "epochs": 3}, ["--epochs", "5"], ("quick", "airbench-tiny", 5)),
        (WHOLE, [], ("tutorial", "net", 2)),
        (preset_values("quick"), ["--preset", "quick"], ("quick", "airbench-tiny", 4)),
    ],
)
def test_the_file_overrides_the_preset_and_the_options_the_file(tmp_path, in_file, words, expected):
    path = tmp_path / "c.toml"
    path.write_text(tomli_w.dumps({name: "" if value is None else value for name, value in in_file.items()}))
    config = build_settings(parse(["train", "--config", str(path), *words]))
    assert (config.preset, config.model, config.epochs) == expected


@pytest.mark.parametrize(
    ("in_file", "words", "named"),
    [
        ({"batch_size": 0}, [], True),
        ({"batch_size": "four"}, ["--epochs", "3"], True),
        ({"epochs": 3}, ["--set", "batch_size=0"], False),
        ({"batch_size": 4}, ["--set", "batch_size=0"], False),
    ],
)
def test_a_wrong_setting_names_the_file_if_it_comes_from_there(tmp_path, in_file, words, named):
    path = tmp_path / "c.toml"
    path.write_text(tomli_w.dumps(in_file))
    with pytest.raises(ConfigError, match=r"batch_size .* must be a whole number") as refused:
        build_settings(parse(["train", "--config", str(path), *words]))
    assert str(refused.value).startswith(f"'{path}': ") is named
