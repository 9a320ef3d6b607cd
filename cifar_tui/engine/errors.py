"""The errors a user can cause, each with the exit code it ends the program with."""


class UserError(Exception):
    """One sentence for the user: what is wrong, where, and what to do."""

    exit_code = 4


class ConfigError(UserError):
    """A configuration value, option or file named by the user is wrong.

    Attributes:
        field: name of the `TrainConfig` field at fault, or "" where it is none of them.
    """

    exit_code = 2

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DataUnavailableError(UserError):
    """The images asked for cannot be had."""

    exit_code = 3


class RunFailedError(UserError):
    """The run could not go on: out of memory, a loss that is not finite, input or output."""

    exit_code = 4


class CancelledError(Exception):
    """The user asked to stop while something long was under way; nothing is left half-done."""
