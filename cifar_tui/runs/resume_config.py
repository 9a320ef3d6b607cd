"""Check that a run can be resumed, and with which settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_tui.engine.config.schema import LATER, SETTINGS, Setting, TrainConfig
from cifar_tui.engine.disk.regular import is_regular
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import CONFIG_FILE, LAST_FILE, REPORT_FILE
from cifar_tui.engine.models.own.name import absolute_model
from cifar_tui.engine.text import cut
from cifar_tui.runs.disk.config import read_run_config, with_absolute_folders
from cifar_tui.runs.disk.hints import command
from cifar_tui.runs.disk.run_lock import check_not_live
from cifar_tui.runs.disk.summary import read_summary
from cifar_tui.runs.listing import LIVE, ListedRun, setting_cell
from cifar_tui.runs.state import RunSnapshot

RESUMABLE = frozenset(name for name, field in SETTINGS.items() if field.metadata["resumable"])
"""The settings that a resumed run may have another value of."""

_LONGEST = 40
_LARGEST = 2**63


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
        return changes_text(self.changed)


def changes_text(changed: Mapping[str, tuple[Setting, Setting]]) -> str:
    """Name the settings that change with their old and new value, as in `epochs 2 → 4`."""
    return ", ".join(
        f"{name} {setting_cell(name, old)} → {setting_cell(name, new)}"
        for name, (old, new) in changed.items()
    )


def plan_resume(folder: Path, form: TrainConfig) -> ResumePlan:
    """Plan to resume the run in `folder` with those settings of `form` that may change.

    Raises:
        ConfigError: see `config_to_resume`.
    """
    own, form = map(with_absolute_folders, (read_run_config(folder), form))
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
    has_trained = finished is not None and finished.completed and not finished.early_stop
    return has_trained and evaluated is not None and evaluated.final


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
    has_patience = bool((run.config or {}).get("patience"))
    if run.state == "done" and run.summary and has_patience and run.summary.epoch < own_epochs(run):
        return (
            f"Run {name} stopped early, after epoch {run.summary.epoch}. To train longer, open it, raise "
            "patience in Settings and press u."
        )
    if run.state == "done" and form_epochs <= own_epochs(run):
        return f"Run {name} is already finished. To train longer, set more epochs in Settings first."
    return ""


def changes_since_checkpoint(saved: Mapping[str, Any], config: TrainConfig, *, run: str) -> str:
    """Compare the settings in a checkpoint with those to resume it with; name what changes, "" for nothing.

    Args:
        saved: the settings in the checkpoint, which anybody may have written.
        config: the settings to resume with.
        run: what to call the run in an error.

    Raises:
        ConfigError: a setting differs that a resumed run cannot change, or is missing or unknown.
    """
    saved = {**LATER, **saved}
    if saved.keys() != SETTINGS.keys():
        name = min(saved.keys() ^ SETTINGS.keys(), key=str)
        problem = "lacks the setting" if name in SETTINGS else "has an unknown setting"
        raise ConfigError(
            f"run {run} cannot be resumed: its {LAST_FILE} {problem} {_shown(name)}; "
            "resume it with the version of cifar-tui that saved it"
        )
    changed = {}
    for name in SETTINGS:
        before, after = saved[name], getattr(config, name)
        if type(before) is type(after) and before == after:
            continue
        if name not in RESUMABLE or not _is_valid(config, name, before):
            raise ConfigError(
                f"run {run} cannot be resumed: {CONFIG_FILE} has {name} {_shown(after)}, but {LAST_FILE} was "
                f"trained with {_shown(before)}; correct {CONFIG_FILE}, or start a new run",
                field=name,
            )
        changed[name] = (before, after)
    return changes_text(changed)


def _shown(value: Any) -> str:  # noqa: ANN401 - anything can be in a file
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "a number that is too large"
    plain = value is None or isinstance(value, int | float | str)
    return cut(repr(value), _LONGEST) if plain else f"a value of type {type(value).__name__}"


def _is_valid(config: TrainConfig, name: str, value: Any) -> bool:  # noqa: ANN401 - anything can be in a file
    try:
        config.replace(**{name: value})
    except ConfigError:
        return False
    return True


def config_to_resume(folder: Path, wanted: TrainConfig | None = None) -> TrainConfig:
    """Return the settings to resume the run in `folder` with: `wanted`, or by default its own.

    Raises:
        ConfigError: the run is live, has no checkpoint or is finished, or `wanted` changes a setting that is
            not resumable.
    """
    own = read_run_config(folder)
    config = own if wanted is None else wanted.replace(model=absolute_model(wanted.model))
    name = folder.name
    check_not_live(folder)
    try:
        has_checkpoint = is_regular(folder / LAST_FILE)
    except OSError as error:
        raise ConfigError(f"run {name} cannot be read: {error.strerror}; make '{folder}' readable") from None
    if not has_checkpoint:
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
    if not summary.completed or not is_regular(folder / REPORT_FILE):
        return config
    if own.patience and summary.epoch < own.epochs:
        if 0 < config.patience <= own.patience:
            raise ConfigError(
                f"run {name} stopped early, after epoch {summary.epoch} of {own.epochs}; to train longer: "
                f"{command('train --set patience=N --resume', folder)}, with N above {own.patience}, or none",
                field="patience",
            )
    elif config.epochs <= own.epochs:
        raise ConfigError(
            f"run {name} is already finished; to train longer: "
            f"{command('train --epochs N --resume', folder)}, with N above {own.epochs}"
        )
    return config
