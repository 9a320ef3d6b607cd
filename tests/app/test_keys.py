"""What a terminal sends: whatever it is, the keys after it are read."""

from types import SimpleNamespace

import pytest
import textual._parser
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from cifar_tui.app import keys as module
from cifar_tui.app.keys import KeyReader

SILENCE = 10.0

NOT_UTF8 = {
    "latin-1 e-acute": b"\xe9",
    "a lead byte of three": b"\xe2\x82",
    "a lead byte of four": b"\xf0\x9f\x98",
    "a continuation byte": b"\xbf",
    "never UTF-8": b"\xfe\xff\xc0\x80",
    "an encoded surrogate": b"\xed\xa0\x80",
    "8-bit CSI": b"\x9b",
    "gb18030": "高兴".encode("gb18030"),
}
OLD_MOUSE_REPORTS = {
    "near": b"\x1b[M !!",
    "column 100": b"\x1b[M#\x84\x30",
    "column 223": b"\x1b[M\x20\xff\xff",
    "beyond 223": b"\x1b[M\x20\x00\x00",
    "the wheel": b"\x1b[M\x60\xa9\xc3",
    "a press and a release": b"\x1b[M \xc3\xa9\x1b[M#\xc3\xa9",
    "urxvt": b"\x1b[32;300;300M",
}
ABSURD_NUMBERS = {
    "no character": b"\x1b[99999999u",
    "beyond Unicode": b"\x1b[1114112u",
    "a surrogate": b"\x1b[55296u",
    "a surrogate as text": b"\x1b[97;;55296u",
    "text that is no character": b"\x1b[97;1;99999999999u",
    "modifiers": b"\x1b[97;99999999999999u",
    "alternate keys": b"\x1b[97:65;2u",
    "longer than a sequence": b"\x1b[" + b"9" * 500 + b"q",
    "a far click": b"\x1b[<0;999999999;999999999M\x1b[<0;999999999;999999999m",
    "no window": b"\x1b[48;0;0;0;0t",
    "no pixels": b"\x1b[48;40;120;0;0t\x1b[<0;5;5M",
    "a window of gigabytes": b"\x1b[48;99999;99999;1;1t",
    "the cursor far away": b"\x1b[999999999;999999999R",
    "a mode": b"\x1b[?2048;9$y",
    "empty parameters": b"\x1b[;;;;u",
    "an unknown sequence": b"\x1b[?12;34q\x1b[5;6;7s\x1b[3 d",
    "a late answer": b"\x1b]11;rgb:dede/dede/dede\x1b\\",
    "a late answer of a terminal": b"\x1bP>|tmux 3.4\x1b\\",
}
REPLIES = {
    "a colour": b"\x1b]11;rgb:dede/dede/dede\x1b\\",
    "a colour, ended by a bell": b"\x1b]4;1;rgb:cdcd/0000/0000\x07",
    "a clipboard": b"\x1b]52;c;cXVpdA==\x1b\\",
    "a title": b"\x1b]lqs: ~/code\x1b\\",
    "a terminal's name": b"\x1bP>|tmux 3.4\x1b\\",
    "a terminal's unit": b"\x1bP!|7E565445\x1b\\",
    "a setting": b"\x1bP1$r0;4:3m\x1b\\",
    "a capability": b"\x1bP1+r524742=382F382F38\x1b\\",
    "pictures": b"\x1b_Gi=31;OK\x1b\\",
}
NONSENSE = NOT_UTF8 | OLD_MOUSE_REPORTS | ABSURD_NUMBERS


@pytest.fixture(scope="module")
def clock():
    clock = SimpleNamespace(now=100.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
        patch.setattr(textual._parser, "get_time", lambda: clock.now)
        yield clock


def read(clock, *parts):
    """What is read when `parts` arrive with silence after each."""
    reader = KeyReader()
    messages = []
    for part in parts:
        messages += reader.feed(part)
        clock.now += SILENCE
        messages += reader.tick()
        clock.now += SILENCE  # the parser's own wait begins with what the reader has let go
        messages += reader.tick()
    return messages


def keys_of(messages):
    return [message.key for message in messages if isinstance(message, events.Key)]


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_key_presses_none_and_hides_none_after_it(clock, nonsense):
    pressed = keys_of(read(clock, nonsense + b"zj", b"y"))
    assert pressed[-3:] == ["z", "j", "y"]
    assert not set(pressed[:-3]) & set("qsdecutmr"), "no command"
    in_bytes = keys_of(read(clock, *(bytes([byte]) for byte in b"z"), nonsense, b"y"))
    assert in_bytes[0] == "z"
    assert in_bytes[-1] == "y"


@pytest.mark.parametrize("report", OLD_MOUSE_REPORTS.values(), ids=OLD_MOUSE_REPORTS)
def test_a_mouse_report_that_arrives_in_two_pieces_is_still_one(clock, report):
    for cut in range(1, len(report)):
        reader = KeyReader()
        messages = [*reader.feed(report[:cut]), *reader.tick(), *reader.feed(report[cut:] + b"z")]
        assert keys_of(messages) == ["z"], cut


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_that_arrives_in_pieces_presses_no_key(clock, reply):
    for cut in range(1, len(reply)):
        for second in range(cut, len(reply)):
            reader = KeyReader()
            messages = []
            for part in (reply[:cut], reply[cut:second], reply[second:] + b"z"):
                messages += [*reader.feed(part), *reader.tick()]
                clock.now += 0.8 * module.ESCAPE_DELAY
                messages += reader.tick()
            assert keys_of(messages) == ["z"], (cut, second)


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_whose_end_is_lost_presses_no_key_and_hides_none_after_it(clock, reply):
    for cut in range(3, len(reply) - 1):
        assert keys_of(read(clock, reply[:cut], b"z")) == ["z"], cut
        assert keys_of(read(clock, reply[:cut] + b"\x1b[A", b"z")) == ["up", "z"], cut


@given(
    st.lists(st.one_of(st.sampled_from([*NONSENSE.values(), b"\x1b", b"\x1b[200~"]), st.binary(max_size=12)))
)
def test_any_bytes_leave_a_terminal_whose_keys_are_read(clock, parts):
    # the last silence ends whatever was begun
    messages = read(clock, b"".join(parts), b"", b"z")
    assert keys_of(messages)[-1] == "z"
    for message in messages:
        if isinstance(message, events.Key):
            (message.character or "").encode()
        if isinstance(message, events.Resize):
            assert 1 <= message.size.width <= 1000
            assert 1 <= message.size.height <= 500


def test_keys_are_what_they_were(clock):
    def pressed(*parts):
        return keys_of(read(clock, *parts))

    assert pressed("aé한".encode()) == ["a", "é", "한"]
    assert pressed("é".encode()[:1], "é".encode()[1:]) == ["é"]
    assert pressed(b"\x1b") == ["escape"]
    assert pressed(b"\x1b", b"q") == ["escape", "q"]
    assert pressed(b"\x1bq") == ["alt+q"]
    assert pressed(b"\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x1b[Z") == [
        "up",
        "down",
        "pageup",
        "ctrl+right",
        "shift+tab",
    ]
    assert pressed(b"\x1b[97u\x1b[13u\x1b[97;5u") == ["a", "enter", "ctrl+a"]
    assert pressed(b"\x1b[", b"A") == ["left_square_bracket", "A"]
    assert pressed(b"\x1b]", b"\x1bP", b"\x1b_") == ["right_square_bracket", "alt+shift+p", "underscore"]
    assert pressed(b"\x1bPq", b"\x1b]q") == ["alt+shift+p", "q", "right_square_bracket", "q"]
    (down,) = (each for each in read(clock, b"\x1b[<0;12;7M") if isinstance(each, events.MouseDown))
    assert (down.x, down.y) == (11, 6)


def test_escape_is_a_key_as_soon_as_it_can_be_no_other(clock):
    reader = KeyReader()
    assert keys_of([*reader.feed(b"\x1b"), *reader.tick()]) == []
    clock.now += 1.5 * module.ESCAPE_DELAY
    assert keys_of(reader.tick()) == ["escape"]


def test_a_paste_is_text_and_ends_after_a_silence_where_its_end_was_lost(clock):
    def pasted(*parts):
        return [message.text for message in read(clock, *parts) if isinstance(message, events.Paste)]

    assert pasted(b"\x1b[200~quit\x1b[201~") == ["quit"]
    assert pasted(b"\x1b[200~caf\xe9 q\x1b[201~") == ["caf q"]
    assert pasted(b"\x1b[200~a\x1b[31m red \x1b\x1b[5;6q\x1b[M!\xff!b\x1b[201~") == ["a red b"]
    assert keys_of(read(clock, b"\x1b[200~sq", b"z")) == ["z"]
    assert keys_of(read(clock, b"\x1b[200~\x1b[31m" + 40 * b"s" + b"\x1b[201~z")) == ["z"]


def test_the_mouse_points_where_it_did_after_a_broken_sequence(clock):
    window = b"\x1b[48;40;120;800;1200t"
    for broken in (b"", b"\x1b[99999999u"):
        (down,) = (
            each
            for each in read(clock, window + broken + b"\x1b[<0;101;101M")
            if isinstance(each, events.MouseDown)
        )
        assert (down.x, down.y) == (10, 5)
