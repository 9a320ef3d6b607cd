"""What the user may choose of a benchmark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig, preset_config


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """What is measured on.

    Attributes:
        data: what `--data` takes; None for images that the program makes itself.
        data_dir: where downloads and caches are kept.
        device: what `--device` takes.
        preset: the only preset to measure; None for all of them, or for the tutorial where one is measured.
        full: whether every preset is also trained to its end.
        runs: how often.
    """

    data: str | None = None
    data_dir: str = "data"
    device: str = "auto"
    preset: str | None = None
    full: bool = False
    runs: int = 3

    def config(self, preset: str, **values: Any) -> TrainConfig:  # noqa: ANN401 - a setting has its own type
        """The settings of `preset` on these images and this device, with `values` on top.

        Raises:
            ConfigError: one of them is wrong.
        """
        data_dir = str(Path(self.data_dir).absolute())
        own = {"data": self.data or "synthetic", "data_dir": data_dir, "device": self.device}
        return preset_config(preset).replace(**(own | values))


def arguments_of(config: TrainConfig) -> list[str]:
    """`config` as options of the command line, where it differs from its preset."""
    preset = preset_config(config.preset)
    arguments = ["--preset", config.preset]
    for name in SETTINGS:
        value = getattr(config, name)
        if value != getattr(preset, name):
            arguments += ["--set", f"{name}={value}"]
    return arguments
