"""A run that is written as `LiveRun` writes it, for tests of what is read."""

import threading

from cifar_tui.engine.layout import EVENTS_FILE
from cifar_tui.runs.disk import run_writer
from cifar_tui.runs.disk.event_log import read_events
from cifar_tui.runs.disk.run_writer import RunWriter
from cifar_tui.runs.state import RunState


def make_writer(folder, state=None, *, told=None, refilled=None, moved=None):
    """A writer of the run in `folder`, and what it tells and asks for."""
    told, refilled, moved = ([] if given is None else given for given in (told, refilled, moved))
    return RunWriter(
        folder,
        state or RunState(),
        lambda _: None,
        tell=told.append,
        refill=refilled.append,
        moved=moved.append,
    )


def look_often(monkeypatch):
    """Let runs look at their folders often; returns a lock: while it is held, none looks."""
    looking, follow_folder = threading.Lock(), RunWriter._follow_folder

    def follow(writer):
        with looking:
            follow_folder(writer)

    monkeypatch.setattr(RunWriter, "_follow_folder", follow)
    monkeypatch.setattr(run_writer, "_WATCH_SECONDS", 0.02)
    return looking


class Writing:
    """Owns the run in `folder` and continues what its log already has."""

    def __init__(self, folder):
        self.state = RunState()
        self.told, self.refilled, self.moved = [], [], []
        for event in read_events(folder) if (folder / EVENTS_FILE).exists() else ():
            self.state.apply(event)
        self.writer = make_writer(
            folder, self.state, told=self.told, refilled=self.refilled, moved=self.moved
        )
        self.writer.start()

    def emit(self, *events):
        for event in events:
            self.state.apply(event)
            self.writer.append(event)
