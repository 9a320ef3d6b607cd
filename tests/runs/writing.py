"""A run that is written as `LiveRun` writes it, for tests of what is read."""

from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_writer import RunWriter
from cifar_tui.runs.state import RunState


class Writing:
    """Owns the run in `folder` and continues what its log already has."""

    def __init__(self, folder):
        self.state = RunState()
        for event in read_events(folder) if (folder / EVENTS_FILE).exists() else ():
            self.state.apply(event)
        self.writer = RunWriter(folder, self.state, lambda _: None)

    def emit(self, *events):
        for event in events:
            self.state.apply(event)
            self.writer.append(event)
