"""How far a terminal is behind: by its answers, or by what it has not taken yet."""

import io
from types import SimpleNamespace

import pytest

from cifar_tui.app import link as module
from cifar_tui.app.link import ANSWER_SECONDS, ASK, BEHIND_SECONDS, TerminalLink


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def link():
    return TerminalLink(io.StringIO())


def draw(link, text="frame"):
    link.send(text)
    link.write(text)
    link.flush()
    return link.question()


def test_a_terminal_that_does_not_answer_is_behind_while_something_is_not_written(link, clock):
    assert draw(link) == ASK
    assert draw(link) == ""
    clock.now += 10
    assert not link.behind
    link.send("frame")
    assert not link.behind
    clock.now += 2 * BEHIND_SECONDS
    assert link.behind
    link.write("frame")
    assert link.behind
    link.flush()
    assert not link.behind


def test_a_terminal_that_answers_is_behind_until_it_has_drawn_each_frame(link, clock):
    draw(link)
    link.on_answer()
    assert draw(link) == ASK
    assert not link.behind
    clock.now += 2 * BEHIND_SECONDS
    draw(link)
    assert link.behind
    link.on_answer()
    assert not link.behind
    clock.now += 2 * BEHIND_SECONDS
    assert link.behind
    link.on_answer()
    assert not link.behind
    assert not link.waits_for_answer


def test_a_lost_answer_holds_the_screen_only_for_a_while(link, clock):
    draw(link)
    link.on_answer()
    draw(link)
    clock.now += 2 * ANSWER_SECONDS
    assert not link.behind
    draw(link)
    link.on_answer()
    link.on_answer()
    assert not link.waits_for_answer


def test_a_key_that_looks_like_an_answer_holds_the_screen_once(link, clock):
    draw(link)
    link.on_answer()  # shift+F3
    draw(link)
    clock.now += 2 * ANSWER_SECONDS
    assert not link.behind
    for _ in range(3):
        draw(link)
        clock.now += 2 * BEHIND_SECONDS
        assert not link.behind


def test_nothing_is_asked_before_the_keys_are_read_and_after(link, clock):
    link.stop_asking()
    assert draw(link) == ""
    link.ask_again()
    assert draw(link) == ASK
    link.on_answer()
    draw(link)
    link.stop_asking()
    assert draw(link) == ""
    assert not link.waits_for_answer


def test_what_an_earlier_writer_lost_is_not_waited_for(link, clock):
    link.send("lost")
    link.forget()
    clock.now += 2 * BEHIND_SECONDS
    assert not link.behind
    assert draw(link) == ""
