"""What a terminal sends, as Textual's messages; what is not understood is ignored, but no key after it."""

import codecs
import re
import time
from collections.abc import Iterator
from typing import Final

from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.events import Key
from textual.message import Message

_REPLY: Final = rb"\x1b(?:\][\dLl]|P[\d>!]|_G)"
"""How a terminal's late answer to another program's question begins: no two keys at once send that."""
_TOKEN: Final = re.compile(
    rb"(?P<mouse>\x1b\[M...)"  # an old mouse report: three bytes of any value
    rb"|(?P<string>\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|" + _REPLY + rb"[^\x07\x1b]*(?=\x1b))"
    rb"|\x1b\[48;(?P<rows>\d+)[\d:]*;(?P<columns>\d+)[\d:;]*t"  # the size of the window
    rb"|(?P<sequence>\x1b\[[0-?]*[ -/]*[@-~])"
    rb"|[^\x1b]+|\x1b",
    re.DOTALL,
)
_BEGUN: Final = re.compile(
    rb"(?:(?P<reply>" + _REPLY + rb")[^\x07\x1b]*(?P<end>\x1b?)"
    rb"|\x1b(?:\[(?:M.{0,2}|[0-?]*[ -/]*)|[]P_])?)\Z",
    re.DOTALL,
)
_ESCAPE, _IGNORED = "\x1b", "\x1b[M!!!"
_LONGEST_SEQUENCE = 32
"""Textual takes the characters of longer ones for keys."""
_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
_PASTE_SECONDS = 3.0
_LARGEST = 1000, 500
"""Columns and rows: a terminal that says it is larger would take gigabytes to draw on."""


def bounded(width: int, height: int) -> tuple[int, int]:
    """Return a size of the terminal that can be drawn on."""
    return min(width, _LARGEST[0]), min(height, _LARGEST[1])


class KeyReader:
    """Turn the bytes that a terminal sends into messages.

    Textual's parser raises on bytes that are not UTF-8 and on numbers that are no character, and cannot be
    used afterwards; it waits for the end of a paste without limit.
    """

    def __init__(self) -> None:
        self._parser = XTermParser()
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._begun = b""
        self._escape_parsed = False
        self._pasting = False
        self._fed_at = 0.0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages of `data`; the beginning of a sequence waits for its end."""
        self._fed_at = time.monotonic()
        data, self._begun = self._begun + data, b""
        if begun := _BEGUN.search(data):
            data, self._begun = data[: begun.start()], begun[0]
        yield from self._tokens(data)
        if begun and begun["reply"]:
            self._begun = begun["reply"] + begun["end"]  # the rest has no meaning here, and no limit
            if self._escape_parsed:
                self._escape_parsed = False
                yield from self._parsed(_IGNORED.removeprefix(_ESCAPE))
        elif self._begun and not (self._escape_parsed or self._pasting):
            yield from self._parsed(_ESCAPE)  # the parser waits as long as it may be a key
            self._escape_parsed = True

    def tick(self) -> Iterator[Message]:
        """Yield what is due because nothing was received for a while."""
        silent = time.monotonic() - self._fed_at
        if self._begun and silent > ESCAPE_DELAY:
            begun, self._begun = self._begun, b""
            if not re.match(_REPLY, begun):  # half a reply is no key
                yield from self._tokens(begun)
        if self._pasting and silent > _PASTE_SECONDS:  # its end was lost
            yield from self._tokens(_PASTE_ENDS)
        if not self._begun:  # the parser's wait began with the first of several pieces
            yield from self._parsed(None)

    def _tokens(self, data: bytes) -> Iterator[Message]:
        for token in _TOKEN.finditer(data):
            if token[0] in {_PASTE_BEGINS, _PASTE_ENDS}:
                self._pasting = token[0] == _PASTE_BEGINS
            elif self._pasting and token[0].startswith(b"\x1b"):  # the parser would type it
                continue
            text = _IGNORED if _is_ignored(token) else self._decoder.decode(token[0])
            if self._escape_parsed:
                self._escape_parsed = False
                text = text.removeprefix(_ESCAPE)
            yield from self._parsed(text)
            if token["sequence"] and self._parser._awaiting.timeout is not None:  # noqa: SLF001 - no public name
                self._replace_parser()  # it did not know the sequence, and would take its characters for keys

    def _parsed(self, text: str | None) -> Iterator[Message]:
        """Yield what the parser makes of `text`, or of the time that has passed."""
        if text == "":  # would end the parser
            return
        try:
            for message in self._parser.tick() if text is None else self._parser.feed(text):
                if not (isinstance(message, Key) and _is_surrogate(message.character)):
                    yield message
        except (ArithmeticError, LookupError, ValueError):
            self._replace_parser()

    def _replace_parser(self) -> None:
        """Start a new parser with what the old one knew about the mouse."""
        old, self._parser = self._parser, XTermParser()
        for name in ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size"):
            setattr(self._parser, name, getattr(old, name))


def _is_ignored(token: re.Match[bytes]) -> bool:
    if token["rows"]:
        size = int(token["columns"]), int(token["rows"])
        return 0 in size or size != bounded(*size)
    return bool(token["mouse"] or token["string"] or len(token["sequence"] or b"") > _LONGEST_SEQUENCE)


def _is_surrogate(character: str | None) -> bool:
    return character is not None and any("\ud800" <= each <= "\udfff" for each in character)
