"""Fetch a small archive, and watch what is reported."""

import threading
from pathlib import Path

from cifar_tui.engine.data.fetch import Archive, fetch
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.events import LoadingProgress

PART = "cifar-10-python.tar.gz.part"
NAME = "cifar-10-python.tar.gz"


class Watcher:
    """Collects the reports; `stop` asks to stop."""

    def __init__(self) -> None:
        self.reports: list[LoadingProgress] = []
        self.stop = threading.Event()
        self.downloading = threading.Event()

    def report(self, event: LoadingProgress) -> None:
        self.reports.append(event)
        if event.stage.startswith("downloading"):
            self.downloading.set()

    def stage(self, start: str) -> list[LoadingProgress]:
        return [event for event in self.reports if event.stage.startswith(start)]


def fetch_small(archive: Archive, data_dir: Path, watcher: Watcher | None = None) -> Path:
    watcher = watcher or Watcher()
    progress = Progress(watcher.report, watcher.stop.is_set)
    fetch(archive, data_dir, progress, retry_pauses=(0, 0))
    return data_dir / archive.folder_name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}
