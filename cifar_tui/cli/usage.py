"""Check the words of a command line before argparse does, so that an error says what to write instead.

What only an error needs is imported for it: `--help` answers at once.
"""

from collections.abc import Iterable, Iterator

from cifar_tui.cli.option import Command, Option
from cifar_tui.cli.options import COMMANDS, DASHBOARD
from cifar_tui.engine.errors import ConfigError

HELP_FLAGS = ("-h", "--help", "--version")
"""Options that end the program, wherever they stand."""

_ALL_FLAGS = {flag: option for command in COMMANDS.values() for flag, option in command.flags().items()}
_ALL_FLAGS |= DASHBOARD.flags()


def split_command(words: list[str]) -> tuple[str, list[str]]:
    """Take the command out of the `words` of a command line; options may stand before it.

    Returns:
        The command, "" for the dashboard, and the other words.

    Raises:
        ConfigError: there is no such command or option.
    """
    for index, word, flag in _words(words, _ALL_FLAGS):
        if word in HELP_FLAGS:
            break
        if flag and flag not in _ALL_FLAGS:
            later = next((name for name in words[index:] if name in COMMANDS), "")
            raise ConfigError(_unknown(flag, later))
        if not flag:
            if word not in COMMANDS:
                from cifar_tui.engine.config.fields import suggestion

                hint = suggestion(word, COMMANDS) or f"; the commands are {_listed(COMMANDS)}"
                raise ConfigError(f"no command {word!r}{hint}")
            return word, words[:index] + words[index + 1 :]
    return "", words


def check_options(command: str, words: list[str]) -> None:
    """Check that `command` takes every option in `words`, and that each has its value.

    Raises:
        ConfigError: it does not; one sentence.
    """
    taken = command_named(command).flags()
    for index, word, flag in _words(words, taken):
        if not flag or word in HELP_FLAGS:
            continue
        if flag not in taken:
            raise ConfigError(_unknown(flag, command))
        option = taken[flag]
        if option.metavar and word == flag:
            value = words[index + 1] if index + 1 < len(words) else None
            if value is None or value in taken or value.startswith("--"):
                raise ConfigError(f"{flag} needs a value: {flag} {option.metavar}")
        elif not option.metavar and word != flag:
            raise ConfigError(f"{flag} takes no value")


def unexpected(word: str, command: str) -> str:
    """Return the error about a `word` that `command` does not take."""
    from cifar_tui.engine.config.presets import PRESETS

    hint = f"see '{_typed(command)} --help'"
    if word in PRESETS and "--preset" in command_named(command).flags():
        hint = f"did you mean '--preset {word}'?"
    return f"unexpected argument {word!r}; {hint}"


def command_named(name: str) -> Command:
    """Return a command; that of "" is the dashboard."""
    return COMMANDS[name] if name else DASHBOARD


def _words(words: list[str], flags: dict[str, Option]) -> Iterator[tuple[int, str, str]]:
    """Yield the index of each word that is no option's value, the word, and its flag if it is an option."""
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return
        flag = ""
        if word.startswith("-") and word != "-":
            flag = word[:2] if word[:2] in flags else word.partition("=")[0]
        yield index, word, flag
        has_value = flag in flags and flags[flag].metavar and word == flag
        index += 2 if has_value else 1


def _unknown(flag: str, command: str) -> str:
    """Return the error about an option that `command` does not take."""
    who = f"{command!r}" if command else "the dashboard"
    owners = [name for name, other in COMMANDS.items() if flag in other.flags()]
    if owners:
        return f"{who} takes no {flag}; {_listed(map(repr, owners))} {'does' if len(owners) == 1 else 'do'}"
    flags = command_named(command).flags()
    instead = {known: known for known in flags}
    if "--set" in flags:
        from cifar_tui.engine.config.schema import SETTINGS

        settings = {f"--{name.replace('_', '-')}": f"--set {name}=VALUE" for name in SETTINGS}
        instead = settings | instead
    import difflib

    close = difflib.get_close_matches(flag.replace("_", "-"), instead, n=1)
    hint = f"did you mean '{instead[close[0]]}'?" if close else f"see '{_typed(command)} --help'"
    return f"unknown option {flag}; {hint}"


def _typed(command: str) -> str:
    return f"cifar-tui {command}".rstrip()


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
