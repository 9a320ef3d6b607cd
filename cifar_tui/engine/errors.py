"""Errors that a user can cause, each with the program's exit code."""


class UserError(Exception):
    """One sentence for the user: what failed, where, and what to do next."""

    exit_code = 4


class ConfigError(UserError):
    """A setting, option or file named by the user is invalid.

    Attributes:
        field: name of the invalid `TrainConfig` field, "" if it is none of them.
    """

    exit_code = 2

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DataUnavailableError(UserError):
    """The dataset is not available."""

    exit_code = 3


class RunFailedError(UserError):
    """The run failed: out of memory, a non-finite loss, or an I/O error."""


class WrongOutputError(Exception):
    """A net returned something else than logits; the message says what."""


class CancelledError(Exception):
    """The user cancelled a long operation; nothing is left half-done."""
