"""`RunControl`: requests from any thread to the one that trains."""

import threading

from cifar_tui.engine.control import RunControl


def test_nothing_is_pending_at_first():
    control = RunControl()
    assert not control.pending
    control.wait_while_paused()


def test_a_request_is_taken_once():
    control = RunControl()
    control.request("save")
    control.request("evaluate")
    assert control.pending
    assert control.take_save()
    assert not control.take_save()
    assert control.pending, "the evaluation is still asked for"
    assert control.take_evaluate()
    assert not control.pending


def test_pending_lasts_as_long_as_the_pause():
    control = RunControl()
    control.request("pause")
    assert control.pending
    assert control.paused
    control.request("resume")
    assert not control.pending


def test_one_request_holds_and_the_same_again_lets_go_on():
    control = RunControl()
    control.request("toggle_pause")
    assert control.paused
    control.request("toggle_pause")
    assert not control.paused
    assert not control.pending


def test_a_pause_ends_for_whatever_else_is_asked_for():
    for ask in (RunControl.resume, RunControl.save, RunControl.evaluate, RunControl.stop):
        control = RunControl()
        control.request("pause")
        waiting = threading.Thread(target=control.wait_while_paused)
        waiting.start()
        assert waiting.is_alive()
        ask(control)
        waiting.join(10)
        assert not waiting.is_alive()


def test_a_stop_stays():
    control = RunControl()
    control.request("stop")
    control.request("resume")
    assert control.pending
    assert control.stop_requested
