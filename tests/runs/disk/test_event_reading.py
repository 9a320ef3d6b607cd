"""The log of a run is read as far as it goes, whatever is in it and while it grows."""

import json

import pytest

from cifar_tui.engine.events import Message
from cifar_tui.runs.disk.event_log import EventReader, read_events
from tests.runs.made_events import texts_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def line(text):
    return json.dumps({"event": "Message", "time": 1.0, "text": text, "printed": False}).encode() + b"\n"


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"a picture",
        b"\xff\xfe\x00",
        b"null",
        b"7",
        b'"event"',
        b'["event"]',
        b"[]",
        b"{}",
        b'{"event":null}',
        b'{"event":[]}',
        b'{"event":"Never","time":1.0}',
        b'{"event":"Message"}',
        b'{"event":"Message","time":1.0,"text":"a","printed":false,"later":1}',
        b'{"event":"PhaseChanged","time":1.0,"phase":"asleep","message":""}',
        b'{"event":"Evaluated","step":1,"final":true,"correct":1,"total":1,"loss":1,"per_class":[7]}',
        b'{"event":"LossWindow","time":1.0,"epoch":1,"batch":1,"step":"many","loss":1.0}',
        b'{"event":"LossWindow","time":1.0,"epoch":1,"batch":true,"step":1,"loss":1.0}',
        b'{"event":"LossWindow","time":"now","epoch":1,"batch":1,"step":1,"loss":1.0}',
        b'{"event":"LossWindow","epoch":1,"batch":1,"step":1,"loss":1.0}',
        b'{"event":"LossWindow","time":1.0,"epoch":1,"batch":1,"step":1,"loss":1' + 400 * b"0" + b"}",
        b'{"event":"LossWindow","time":1.0,"epoch":1,"batch":1,"loss":1.0,"step":1' + 400 * b"0" + b"}",
        b'{"event":"LossWindow","time":null,"epoch":1,"batch":1,"step":1,"loss":1.0}',
        b'{"event":"LossWindow","time":1e300,"epoch":1,"batch":1,"step":1,"loss":1.0}',
        b'{"event":"Resumed","time":1.0,"step":1,"epoch":1,"batch":1,"train_seconds":null}',
        b'{"event":"SamplesPredicted","time":1.0,"step":1,"predicted":[1],"confidences":7}',
        b'{"event":"Message","time":1.0,"te',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:32]),
)
def test_lines_that_are_damaged_foreign_or_of_a_later_version_are_passed_over(tmp_path, path, foreign):
    path.write_bytes(b'{"schema":1}\n' + line("a") + foreign + b"\n" + line("b"))
    assert texts_of(read_events(tmp_path)) == ["a", "b"]


def test_a_reader_gives_what_was_appended_since_it_read_last(open_log, tmp_path):
    log = open_log()
    reader = EventReader(tmp_path)
    assert list(reader.read()) == []
    log.append(Message(text="a"))
    log.append(Message(text="b"))
    assert texts_of(reader.read()) == ["a", "b"]
    assert list(reader.read()) == []
    for number in range(300):
        log.append(Message(text=f"{number}"))
    assert texts_of(reader.read()) == [str(number) for number in range(300)]
    log.append(Message(text="c"))
    assert texts_of(reader.read()) == ["c"]


@pytest.mark.parametrize("cut", [1, 10, -1])
def test_a_line_that_arrives_in_two_halves_is_read_once_it_is_whole(tmp_path, path, cut):
    path.write_bytes(b'{"schema":1}\n' + line("a"))
    reader = EventReader(tmp_path)
    assert texts_of(reader.read()) == ["a"]
    with path.open("ab") as file:
        file.write(line("b")[:cut])
        file.flush()
        assert list(reader.read()) == []
        file.write(line("b")[cut:])
        file.flush()
        assert texts_of(reader.read()) == ["b"]
    assert list(reader.read()) == []


def test_lines_of_any_length_are_read_and_a_torn_one_once_it_is_whole(tmp_path, path):
    names = ["é" * 20, "b", "", "d" * 300_000]
    path.write_bytes(b'{"schema":1}\n' + b"".join(line(name) for name in names) + line("torn")[:-1])
    reader = EventReader(tmp_path)
    assert texts_of(reader.read()) == names
    with path.open("ab") as file:
        file.write(b"\n")
    assert texts_of(reader.read()) == ["torn"]


def test_a_reader_that_is_left_half_way_goes_on_where_it_was(tmp_path, path):
    path.write_bytes(b'{"schema":1}\n' + line("a") + line("b"))
    reader = EventReader(tmp_path)
    assert next(reader.read()).text == "a"
    assert texts_of(reader.read()) == ["b"]


def test_a_log_that_is_not_there_is_the_callers(tmp_path):
    with pytest.raises(FileNotFoundError):
        next(read_events(tmp_path))
