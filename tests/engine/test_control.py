"""`RunControl`: requests from any thread to the training thread."""

import threading

import pytest

from cifar_tui.engine.control import RunControl


def test_nothing_is_pending_at_first():
    control = RunControl()
    assert not control.pending
    assert control.wait_while_paused(0)


def test_a_request_is_taken_once():
    control = RunControl()
    control.request("save")
    control.request("evaluate")
    assert control.pending
    assert control.take("save")
    assert not control.take("save")
    assert control.pending, "the evaluation is still requested"
    assert control.take("evaluate")
    assert not control.pending


def test_a_pause_is_pending_until_training_is_resumed():
    control = RunControl()
    control.request("pause")
    assert control.pending
    assert control.paused
    assert not control.wait_while_paused(0)
    control.request("resume")
    assert not control.pending


def test_the_toggle_pauses_and_resumes():
    control = RunControl()
    control.request("toggle_pause")
    assert control.paused
    control.request("toggle_pause")
    assert not control.paused
    assert not control.pending


@pytest.mark.parametrize("request_", ["resume", "toggle_pause", "save", "evaluate", "stop", "anything"])
def test_a_pause_is_interrupted_by_any_request(request_):
    control = RunControl()
    control.request("pause")
    waiting = threading.Thread(target=control.wait_while_paused, args=(60,))
    waiting.start()
    assert waiting.is_alive()
    control.request(request_)
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_stop_cannot_be_taken_back_and_is_counted():
    control = RunControl()
    assert not control.wait_for_stop(0, 0)
    control.request("stop")
    control.request("resume")
    assert control.pending
    assert control.stop_requested
    assert control.wait_for_stop(0, 0)
    assert not control.wait_for_stop(1, 0)
