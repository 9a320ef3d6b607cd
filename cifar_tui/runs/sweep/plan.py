"""The plan of a sweep: the settings of each of its runs, and how they are run. Imports no torch."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from cifar_tui.engine.config.schema import SETTINGS, Setting, TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.listing import setting_cell
from cifar_tui.runs.table import heading_of

MOST_RUNS = 10_000
_SEED = "seed"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """What a sweep runs.

    Attributes:
        name: its name.
        configs: the settings of run 1, 2, …
        varied: the settings that the runs are grouped by: those with several values, but the seed.
        workers: runs at a time; 0 for one a GPU, or one.
        eta: of the runs that get as far as a rung, about one in `eta` continues; 0 to stop none.

    Raises:
        ConfigError: hopeless runs are to be stopped, but a run has no validation images.
    """

    name: str
    configs: tuple[TrainConfig, ...]
    varied: tuple[str, ...]
    workers: int
    eta: int = 0

    def __post_init__(self) -> None:
        check_count(len(self.configs))
        if self.eta and any(config.val_size == 0 for config in self.configs):
            raise ConfigError(
                "--stop-hopeless compares runs on validation images, never on test images: hold some out, "
                "such as --set val_size=5000",
                field="val_size",
            )

    @property
    def numbers(self) -> range:
        """The numbers of its runs."""
        return range(1, len(self.configs) + 1)

    def config(self, number: int) -> TrainConfig:
        """Return the settings of run `number`."""
        return self.configs[number - 1]

    def run_name(self, number: int) -> str:
        """Return what run `number` is called."""
        return f"{self.name}-{number:0{len(str(len(self.configs)))}}"

    def values(self, number: int) -> tuple[Setting, ...]:
        """Return the values of the varied settings in run `number`; those of one group have the same."""
        return tuple(getattr(self.config(number), name) for name in self.varied)

    def described(self, number: int) -> str:
        """Say what run `number` has for settings and seed, as in `lr 0.01, seed 2`."""
        return ", ".join(filter(None, (self.described_values(number), f"seed {self.config(number).seed}")))

    def described_values(self, number: int) -> str:
        """Say what run `number` has for the varied settings, as in `lr 0.01, momentum 0.9`."""
        return ", ".join(
            f"{heading_of(name)} {setting_cell(name, value)}"
            for name, value in zip(self.varied, self.values(number), strict=True)
        )


def check_count(runs: int) -> None:
    """Check how many `runs` a sweep has.

    Raises:
        ConfigError: it has none, or too many.
    """
    if not 1 <= runs <= MOST_RUNS:
        raise ConfigError(f"a sweep has 1 to {MOST_RUNS:,} runs, not {runs:,}: give fewer values or seeds")


def plan_to_values(plan: SweepPlan) -> dict[str, Any]:
    """Convert `plan` to values for TOML; which `plan_from_values` reads; None becomes ""."""
    settings = [dataclasses.asdict(config) for config in plan.configs]
    common = {
        name: value for name, value in settings[0].items() if all(other[name] == value for other in settings)
    }
    return {
        "name": plan.name,
        "varied": list(plan.varied),
        "workers": plan.workers,
        "eta": plan.eta,
        "common": {name: "" if value is None else value for name, value in common.items()},
        "runs": [
            {name: "" if value is None else value for name, value in own.items() if name not in common}
            for own in settings
        ],
    }


def plan_from_values(values: dict[str, Any]) -> SweepPlan:
    """Restore the plan that `plan_to_values` converted.

    Raises:
        ConfigError: a setting is unknown or its value wrong.
        KeyError, TypeError, ValueError: it is no plan.
    """
    name, workers, eta = values["name"], values["workers"], values["eta"]
    varied = tuple(setting for setting in values["varied"] if setting in SETTINGS and setting != _SEED)
    numbers = type(workers) is int and workers >= 0 and type(eta) is int and (eta == 0 or eta > 1)
    if not (isinstance(name, str) and numbers and len(varied) == len(values["varied"])):
        raise ValueError("no plan of a sweep")
    configs = tuple(build_config({**values["common"], **own}) for own in values["runs"])
    return SweepPlan(name=name, configs=configs, varied=varied, workers=workers, eta=eta)
