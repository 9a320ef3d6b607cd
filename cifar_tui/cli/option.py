"""What commands and their options are made of, as data. Imports nothing that takes time.

Named tuples and not dataclasses, whose import is a fifth of the time that `--help` takes.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Kind = Literal["", "choice", "data", "directory", "file", "preset", "run", "run or file", "setting", "sweep"]
"""What a shell completes a value with; "choice": the choices of the value."""


class Completion(NamedTuple):
    """What a shell completes a value with.

    Attributes:
        kind: what to look for.
        choices: the values, for "choice".
    """

    kind: Kind = ""
    choices: tuple[str, ...] = ()


def count(text: str) -> int:
    """Parse a whole number from 1 up.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return int(text)


def rate(text: str) -> float:
    """Parse a learning rate, whose range is checked later.

    Raises:
        argparse.ArgumentTypeError: it is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number") from None


class Option(NamedTuple):
    """An option.

    Attributes:
        flags: what the user types.
        help: one line.
        dest: its name in the parsed options.
        metavar: its value; "" for a switch.
        type: parses the value.
        repeatable: whether it may be given several times.
        completion: what a shell completes its value with.
    """

    flags: tuple[str, ...]
    help: str
    dest: str
    metavar: str = ""
    type: Callable[[str], object] = str
    repeatable: bool = False
    completion: Completion = Completion()


class Positional(NamedTuple):
    """What stands after a command without an option.

    Attributes:
        dest: its name in the parsed options.
        metavar: what the help calls it.
        usage: how the usage shows it.
        help: one line.
        nargs: "?" for at most one, "*" for any number, "+" for one or more, None for exactly one.
        completion: what a shell completes it with.
        choices: the only values; none for any.
    """

    dest: str
    metavar: str
    usage: str
    help: str
    nargs: Literal["?", "*", "+"] | None
    completion: Completion
    choices: tuple[str, ...] = ()


class Command(NamedTuple):
    """A command.

    Attributes:
        summary: one line.
        options: by the heading under which its help shows them.
        positional: what it works on.
        more: what stands after that.
        epilog: the end of its help.
    """

    summary: str
    options: Mapping[str, tuple[Option, ...]]
    positional: Positional | None = None
    more: Positional | None = None
    epilog: str = ""

    def flags(self) -> dict[str, Option]:
        """Return its options by what the user types."""
        return {flag: option for group in self.options.values() for option in group for flag in option.flags}


def value(flag: str, metavar: str, text: str, kind: Kind = "") -> Option:
    """Return an option with a value; `text` is its help, `kind` what a shell completes it with."""
    dest = flag.lstrip("-").replace("-", "_")
    return Option(flags=(flag,), help=text, metavar=metavar, dest=dest, completion=Completion(kind=kind))


def counted(flag: str, metavar: str, text: str) -> Option:
    """Return an option whose value is a whole number from 1 up; `text` is its help."""
    return value(flag, metavar, text)._replace(type=count)


def switch(flag: str, text: str) -> Option:
    """Return an option that is given or not; `text` is its help."""
    return Option(flags=(flag,), help=text, dest=flag.lstrip("-").replace("-", "_"))
