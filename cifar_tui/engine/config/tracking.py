"""Detect settings that nothing reads."""

from typing import Any

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig

_UNTRACKED = {"preset", "backend"}
"""Read before anything is built: where the other settings came from, and what runs the steps."""


class ConfigReads:
    """Stands in for a `TrainConfig` and notes which settings are read.

    Whoever builds a run reads its settings through this, so that a setting that the chosen parts do not know
    cannot be ignored silently.

    Args:
        config: the settings.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each setting has a type of its own
        self._read.add(name)
        return getattr(self._config, name)

    def check_all_followed(self) -> None:
        """Check that every non-default setting was read.

        Raises:
            AssertionError: one was not: a defect of the program.
        """
        for name, field in SETTINGS.items():
            value = getattr(self._config, name)
            if value != field.default and name not in self._read | _UNTRACKED:
                raise AssertionError(f"setting {name}={value!r} has no effect: nothing reads it")
