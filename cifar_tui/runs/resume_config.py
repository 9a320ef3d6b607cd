"""Check that a run can be resumed, and with which settings."""

from dataclasses import dataclass
from pathlib import Path

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.schema import SETTINGS, Setting, TrainConfig, build_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, REPORT_FILE
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.disk.run_lock import check_not_live
from cifar_tui.runs.disk.summary import read_summary
from cifar_tui.runs.listing import LIVE, ListedRun, setting_cell
from cifar_tui.runs.state import RunSnapshot

RESUMABLE = frozenset(name for name, field in SETTINGS.items() if field.metadata["resumable"])
"""The settings that a resumed run may have another value of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumePlan:
    """What resuming a run with the settings in a form means.

    Attributes:
        config: the settings to resume with.
        changed: settings that change, with their old and their new value.
        kept: settings that cannot change, with their value and the one in the form.
    """

    config: TrainConfig
    changed: dict[str, tuple[Setting, Setting]]
    kept: dict[str, tuple[Setting, Setting]]

    @property
    def changes(self) -> str:
        """The settings that change, as in `epochs 2 → 4`."""
        return ", ".join(
            f"{name} {setting_cell(name, old)} → {setting_cell(name, new)}"
            for name, (old, new) in self.changed.items()
        )


def plan_resume(folder: Path, form: TrainConfig) -> ResumePlan:
    """Plan to resume the run in `folder` with those settings of `form` that may change.

    Raises:
        ConfigError: see `config_to_resume`.
    """
    own = build_config(read_config_file(folder / CONFIG_FILE))
    differing = {
        name: (getattr(own, name), getattr(form, name))
        for name in SETTINGS
        if getattr(own, name) != getattr(form, name)
    }
    changed = {name: values for name, values in differing.items() if name in RESUMABLE}
    config = config_to_resume(folder, own.replace(**{name: new for name, (_, new) in changed.items()}))
    kept = {name: values for name, values in differing.items() if name not in RESUMABLE}
    return ResumePlan(config=config, changed=changed, kept=kept)


def has_finished(snapshot: RunSnapshot) -> bool:
    """Whether a run has trained and evaluated all its epochs, so that only more epochs resume it."""
    finished, evaluated = snapshot.finished, snapshot.evaluated
    return finished is not None and finished.completed and evaluated is not None and evaluated.final


def own_epochs(run: ListedRun) -> int:
    """Return the epochs in the settings of `run`; 0 if they cannot be read."""
    epochs = (run.config or {}).get("epochs")
    return epochs if isinstance(epochs, int) else 0


def why_not_resumable(run: ListedRun, form_epochs: int) -> str:
    """Say why `run` cannot be resumed, where the form has `form_epochs`; "" if it can."""
    name = run.title or run.name
    if run.state in LIVE:
        return f"Run {name} is already running. Press enter to open it."
    if run.config is None:
        return f"Run {name} cannot be resumed: its config.toml is unreadable."
    if run.state == "done" and form_epochs <= own_epochs(run):
        return f"Run {name} is already finished. To train longer, set more epochs in Settings first."
    return ""


def config_to_resume(folder: Path, wanted: TrainConfig | None = None) -> TrainConfig:
    """Return the settings to resume the run in `folder` with: `wanted`, or by default its own.

    Raises:
        ConfigError: the run is live, has no checkpoint or is finished, or `wanted` changes a setting that is
            not resumable.
    """
    own = build_config(read_config_file(folder / CONFIG_FILE))
    config = wanted or own
    name = folder.name
    check_not_live(folder)
    if not (folder / LAST_FILE).is_file():
        raise ConfigError(f"run {name}: no checkpoint to resume from")
    for setting in SETTINGS:
        before, after = getattr(own, setting), getattr(config, setting)
        if before != after and setting not in RESUMABLE:
            raise ConfigError(
                f"run {name} cannot be resumed with {setting} {after!r}: it was trained with {before!r}",
                field=setting,
            )
    summary = read_summary(folder)
    if summary is None:
        return config
    if config.epochs < summary.epoch:
        raise ConfigError(
            f"run {name} is already in epoch {summary.epoch}; set epochs to at least {summary.epoch}",
            field="epochs",
        )
    if summary.completed and (folder / REPORT_FILE).is_file() and config.epochs <= own.epochs:
        raise ConfigError(
            f"run {name} is already finished; to train longer: "
            f"{command('train --epochs N --resume', folder)}, with N above {own.epochs}"
        )
    return config
