"""Text of others on a terminal: what it would interpret or hide is escaped, what is too long is cut.

A sink calls `escaped` last; who measures or cuts a text uses `cut` and the like, which escape it first.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, takewhile

_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
    "\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]"
)
"""What Python calls printable although Unicode calls it ignorable, or terminals disagree on its width."""

_BLANK = re.compile("^ +| +$|\u2800")
"""What makes a name look like another one or like none; among other text it is no harm."""

_MOST_MARKS = 8
"""Marks on one letter; no language has more, and a pile of them covers the lines above."""

_JOINED = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))
"""Vowels and finals of Hangul, which a terminal joins to the character before."""


def escape_hidden(text: str) -> str:
    r"""Escape, as `\x1b`, each character that a terminal interprets, an encoder refuses, or nobody sees."""
    if text.isprintable() and not _HIDDEN.search(text):
        return text
    return "".join(_escape(character) if _is_hidden(character) else character for character in text)


def escaped(text: str) -> str:
    """Escape all that is not seen as what it is: see `escape_hidden`, and marks that hide others.

    The result is on one line, and as it is if escaped again.
    """
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], _MOST_MARKS  # a mark at the start would change what is printed before it
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        hidden = marks > _MOST_MARKS or _is_hidden(character)
        if hidden:
            marks = _MOST_MARKS
        shown.append(_escape(character) if hidden else character)
    return "".join(shown)


def escaped_name(name: str) -> str:
    """Escape as `escaped`, and the blanks that a name begins or ends with."""
    return _BLANK.sub(lambda blank: "".join(map(_escape, blank[0])), escaped(name))


def cell_width(text: str) -> int:
    """Return the cells that escaped `text` takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def cut(text: str, longest: int) -> str:
    """Escape `text` and cut it to `longest` cells, the last of them "…"."""
    text = escaped(text)
    return text if cell_width(text) <= longest else fitting(text, longest - 1) + "…"


def cut_path(path: str, longest: int) -> str:
    """Escape `path` and cut it to `longest` cells in the middle: its end tells most, then its start."""
    path = escaped(path)
    if cell_width(path) <= longest:
        return path
    end = (longest - 1) * 2 // 3
    last = fitting(path[::-1], end)[::-1]
    while last and not _character_width(last[0]):  # the letter of this mark had no room
        last = last[1:]
    return f"{fitting(path, longest - 1 - end)}…{last}"


def cut_names(names: Sequence[str], longest: int) -> list[str]:
    """Escape `names` and cut each to `longest` cells in the middle; equal ones get their numbers from 1."""
    shown = [cut_path(escaped_name(name), longest) for name in names]
    alike = Counter(shown)
    return [
        text if alike[text] == 1 else f"{cut_path(name, longest - len(f'#{number}'))}#{number}"
        for number, (name, text) in enumerate(zip(map(escaped_name, names), shown, strict=True), start=1)
    ]


def _is_hidden(character: str) -> bool:
    return not character.isprintable() or _HIDDEN.match(character) is not None


def _escape(character: str) -> str:
    return r"\x20" if character == " " else character.encode("unicode_escape").decode("ascii")


def fitting(text: str, cells: int) -> str:
    """Return as many of the first characters as fit into `cells`."""
    widths = accumulate(map(_character_width, text))
    return text[: sum(1 for _ in takewhile(lambda width: width <= cells, widths))]


@functools.lru_cache(maxsize=1 << 12)
def _character_width(character: str) -> int:
    if unicodedata.category(character).startswith("M") or any(ord(character) in range_ for range_ in _JOINED):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
