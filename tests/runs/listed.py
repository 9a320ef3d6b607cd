"""Made-up rows of the list of runs."""

from pathlib import Path

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.runs.disk.summary import RunSummary
from cifar_tui.runs.listing import ListedRun


def listed(name, *, state="done", title="", figures=None, **settings):
    """A run with `figures` in its summary and the tutorial's settings but for `settings`."""
    config = {field: getattr(TrainConfig(), field) for field in SETTINGS} | settings
    summary = RunSummary(
        **{"epoch": 2, "step": 20, "total_steps": 50, "train_seconds": 75.0} | (figures or {})
    )
    return ListedRun(name=name, folder=Path(name), state=state, summary=summary, config=config, title=title)
