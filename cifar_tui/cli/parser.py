"""Parse the command line. Imports nothing that takes time: `--help` answers at once."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cifar_tui import __version__
from cifar_tui.cli.option import Command, Completion
from cifar_tui.cli.options import COMMANDS
from cifar_tui.cli.output import print_message, printing_results
from cifar_tui.cli.usage import check_options, command_named, split_command, unexpected
from cifar_tui.engine.distributed.launch import report_failure
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import escaped

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from cifar_tui.engine.config.schema import TrainConfig

_OVERVIEW = """\
usage: cifar-tui [OPTIONS]            open the dashboard
       cifar-tui COMMAND [OPTIONS]

Train and understand CIFAR-10 image classifiers in the terminal.

commands:
{commands}

options:
  -h, --help  show this help; for a command: cifar-tui COMMAND --help
  --version   show the version

'cifar-tui train --help' lists all settings, presets and models. The dashboard
takes the same settings, such as --preset quick.

examples:
  cifar-tui                           choose settings, press t to train
  cifar-tui train --preset quick --name first-try
  cifar-tui train --headless --epochs 5 --set momentum=0.95
  cifar-tui eval latest --json
  cifar-tui predict latest cat.jpg    classify your own pictures
  cifar-tui runs first-try latest     compare two runs
  cifar-tui sweep --preset quick --set learning_rate=0.06,0.12,0.24 --seeds 0-2

exit codes: 0 done; 2 bad usage or configuration; 3 data not available;
4 the run failed; 128+N ended by signal N after saving
"""

PROGRAM = "cifar-tui"
_SETTINGS = ("preset", "data", "data_dir", "device", "seed", "epochs", "batch_size", "learning_rate")
"""The settings with a dedicated option."""


class _Parser(argparse.ArgumentParser):
    """A parser that prints an error once, without the usage.

    Attributes:
        edit_help: makes what `--help` prints of what argparse would print.
    """

    edit_help: Callable[[str], str] = str

    def error(self, message: str) -> NoReturn:
        """Print `message` and exit with code 2."""
        message = re.sub(r"^argument (\S+): ", r"\1 ", message)
        _refuse(f"{message}; see '{self.prog} --help'")

    def format_help(self) -> str:
        """Return what `--help` prints."""
        return self.edit_help(super().format_help())

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Print help, version or an error; argparse's hides that stdout is full."""
        if file is sys.stderr:
            print_message(message.rstrip("\n"))
            return
        with printing_results():
            print(message, end="", file=file)


def _refuse(sentence: str) -> NoReturn:
    """Print what is wrong with the command line and exit with code 2."""
    print_message(f"cifar-tui: {sentence}")
    report_failure(escaped(sentence))
    sys.exit(ConfigError.exit_code)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; on bad usage, print one sentence and exit with code 2."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        name, words = split_command(words)
        check_options(name, words)
        parser = _build_parser(name)
        options, rest = parser.parse_known_args(words)
        if rest:
            raise ConfigError(unexpected(rest[0], name))
    except ConfigError as error:
        _refuse(str(error))
    options.command, options.words = name, words
    return options


def build_settings(options: argparse.Namespace, *, base: "TrainConfig | None" = None) -> "TrainConfig":
    """Build the settings from the command line, on top of `base` or the preset.

    Raises:
        ConfigError: a setting is unknown or its value is wrong.
    """
    return build_given(options, given_settings(options), base=base)


def build_given(
    options: argparse.Namespace, values: dict[str, Any], *, base: "TrainConfig | None"
) -> "TrainConfig":
    """Build the settings from `values`, what `given_settings` returned, on top of `base` or the preset.

    Raises:
        ConfigError: a value is wrong; where it comes from the settings file, its name comes first.
    """
    from cifar_tui.engine.config.file import errors_in_file
    from cifar_tui.engine.config.schema import build_config
    from cifar_tui.engine.data.registry import user_path

    try:
        return build_config(values, base=base)
    except ConfigError as error:
        if error.field not in values or error.field in assignments(options):
            raise
        with errors_in_file(user_path(options.config)):
            raise


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line and its settings file name; a pipe can be read only once.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or no value of its kind.
    """
    return merged_settings(options, assignments(options), settings_in_file(options))


def settings_in_file(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings in the settings file that the command line names; none without one.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown.
    """
    from cifar_tui.engine.config.file import read_config_file
    from cifar_tui.engine.data.registry import user_path

    config = getattr(options, "config", None)
    return {} if config is None else read_config_file(user_path(config))


def merged_settings(
    options: argparse.Namespace, texts: dict[str, str], in_file: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings in `texts`, as a user writes them, on top of those in the settings file.

    Raises:
        ConfigError: a setting is unknown or no value of its kind, or the file leaves nothing of the preset.
    """
    from cifar_tui.engine.config.text import parse_setting

    values = in_file | {name: parse_setting(name, text) for name, text in texts.items()}
    if "preset" in texts:
        _check_preset(values["preset"], in_file, str(options.config))
    return values


def assignments(options: argparse.Namespace) -> dict[str, str]:
    """Return the settings on the command line, as text by name.

    Raises:
        ConfigError: one is not written as KEY=VALUE.
    """
    given = {name: getattr(options, name, None) for name in _SETTINGS}
    texts = {name: text for name, text in given.items() if text is not None}
    for assignment in options.set or []:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r} must be KEY=VALUE")
        texts[name.strip()] = text
    return texts


def _check_preset(preset: str, in_file: dict[str, Any], path: str) -> None:
    """Check that settings from the file at `path` leave something of `preset`, whose name the run gets.

    Raises:
        ConfigError: they do not.
    """
    from cifar_tui.engine.config.schema import preset_values

    if in_file.get("preset", preset) != preset:
        raise ConfigError(
            f"'{path}' has the settings of preset {in_file['preset']!r}, which override those of preset "
            f"{preset!r}: leave out one of them"
        )
    own = preset_values(preset)
    if own.keys() <= in_file.keys() and any(in_file[name] != value for name, value in own.items()):
        raise ConfigError(
            f"'{path}' overrides every setting of preset {preset!r}: leave out the preset or the file"
        )


def checkpoints_folder(options: argparse.Namespace) -> Path:
    """Return the folder that holds the runs."""
    from cifar_tui.engine.data.registry import user_path

    return user_path(options.checkpoints or "checkpoints")


def add_arguments(
    parser: argparse.ArgumentParser, command: Command
) -> list[tuple[argparse.Action, Completion]]:
    """Add what `command` takes to `parser`; return each with what a shell completes it with."""
    added: list[tuple[argparse.Action, Completion]] = []
    for positional in filter(None, (command.positional, command.more)):
        choose = _one_of(positional.choices) if positional.choices else str
        action = parser.add_argument(
            positional.dest,
            metavar=positional.metavar,
            nargs=positional.nargs,
            type=choose,  # not choices: they would have to include the empty list
            help=positional.help,
        )
        added.append((action, positional.completion))
    for title, options in command.options.items():
        group = parser.add_argument_group(title)
        for option in options:
            if option.metavar:
                action = group.add_argument(
                    *option.flags,
                    dest=option.dest,
                    metavar=option.metavar,
                    action="append" if option.repeatable else "store",
                    type=option.type,
                    help=option.help,
                )
            else:
                action = group.add_argument(
                    *option.flags, dest=option.dest, action="store_true", help=option.help
                )
            added.append((action, option.completion))
    return added


def _build_parser(name: str) -> argparse.ArgumentParser:
    command = command_named(name)
    positionals = [positional.usage for positional in (command.positional, command.more) if positional]
    usage = [PROGRAM, name, "[OPTIONS]", *positionals]
    parser = _Parser(
        prog=f"{PROGRAM} {name}".rstrip(),
        usage=" ".join(filter(None, usage)),
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=command.epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if not name:
        parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
        parser.edit_help = _overview
    elif name == "train":
        parser.edit_help = _with_settings
    add_arguments(parser, command)
    return parser


def _overview(_: str) -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return _OVERVIEW.format(commands=commands)


def _with_settings(text: str) -> str:
    from cifar_tui.cli.settings_help import describe_settings

    return f"{text}\n{describe_settings()}"


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, not {text!r}")
        return text

    return check
