"""What the user can choose for a benchmark."""

from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.config.schema import SETTINGS, Setting, TrainConfig, preset_config

_ENDLESS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchOptions:
    """The options of `cifar-tui bench`.

    Attributes:
        data: as `--data` takes it; None: synthetic images.
        data_dir: folder of downloads and caches.
        device: as `--device` takes it.
        preset: the only preset that `presets` measures; None: all.
        full: whether `presets` also trains every preset to its end.
        runs: full runs of each preset.
    """

    data: str | None = None
    data_dir: str = "data"
    device: str = "auto"
    preset: str | None = None
    full: bool = False
    runs: int = 3

    def config(self, preset: str, **settings: Setting) -> TrainConfig:
        """Return `preset` on these images and this device, with `settings` on top.

        Raises:
            ConfigError: there is no such preset, or a value is wrong.
        """
        data_dir = str(Path(self.data_dir).absolute())
        places = {"data": self.data or "synthetic", "data_dir": data_dir, "device": self.device}
        return preset_config(preset).replace(**(places | settings))

    def steady_config(self, preset: str, **settings: Setting) -> TrainConfig:
        """Return a config that only trains, without end: no evaluations and no checkpoints in between."""
        only_steps = {"epochs": _ENDLESS, "eval_every": 0, "checkpoint_every_epochs": 0}
        return self.config(preset, **(only_steps | {"checkpoint_every_minutes": 0.0} | settings))


def arguments_of(config: TrainConfig) -> list[str]:
    """Return the command-line options that make `config`: its preset and what differs from it."""
    preset = preset_config(config.preset)
    arguments = ["--preset", config.preset]
    for name in SETTINGS:
        value = getattr(config, name)
        if value != getattr(preset, name):
            arguments += ["--set", f"{name}={'' if value is None else value}"]
    return arguments
