"""What is said and done where a run cannot be saved."""

import pytest

from cifar_tui.engine.checkpoint import policy
from cifar_tui.engine.checkpoint.files import Checkpoint
from cifar_tui.engine.checkpoint.policy import Saver
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Alert, CheckpointSaved


class Saving:
    """Saves a run into `folder`; `on_alert` is called with each alert."""

    def __init__(self, folder):
        self.in_the_way = folder / "last.pt"
        self.control = RunControl()
        self.events = []
        self.on_alert = lambda: None
        self.saver = Saver(
            RunFolder(folder),
            make=lambda reason: Checkpoint(state=b"", weights=b"", step=1, reason=reason),
            emit=self.emit,
            control=self.control,
            minutes=0,
        )

    def emit(self, event):
        self.events.append(event)
        if isinstance(event, Alert):
            self.on_alert()


@pytest.fixture
def saving(tmp_path):
    return Saving(tmp_path)


def test_a_save_that_fails_again_and_again_is_said_once_until_one_succeeds(saving):
    for _ in range(2):
        saving.in_the_way.mkdir()
        for _ in range(3):
            saving.saver.try_save("periodic", wait=True)
        saving.in_the_way.rmdir()
        saving.saver.try_save("periodic", wait=True)
        saving.in_the_way.unlink()
    assert [type(event) for event in saving.events] == [Alert, CheckpointSaved] * 2
    assert saving.events[0].text.endswith(". The run continues; retrying")


def test_the_last_save_is_tried_until_there_is_room(saving, monkeypatch):
    monkeypatch.setattr(policy, "RETRY_SECONDS", 0.01)
    saving.in_the_way.mkdir()
    saving.control.request("stop")
    saving.on_alert = saving.in_the_way.rmdir
    saving.saver.save_final("stopped")
    alert, saved = saving.events
    assert alert.text.endswith(". Retrying for up to 10 minutes; stop again to give up now")
    assert saved.reason == "stopped"


def test_another_stop_gives_it_up(saving):
    saving.in_the_way.mkdir()
    saving.control.request("stop")
    saving.on_alert = lambda: saving.control.request("stop")
    with pytest.raises(RunFailedError, match=r"cannot save .*last\.pt': Is a directory"):
        saving.saver.save_final("stopped")
    assert [type(event) for event in saving.events] == [Alert]
