"""Horizontal bars out of line characters, full and empty told apart by shape."""

from textual.content import Content

FULL, HALF, EMPTY = "━", "╸", "─"


def bar(share: float, width: int, style: str) -> Content:
    """A bar of `width` columns, `share` (0-1) of it full."""
    halves = round(2 * width * min(1.0, max(0.0, share)))
    full = FULL * (halves // 2) + HALF * (halves % 2)
    return Content.assemble((full, style), (EMPTY * (width - len(full)), "$foreground 25%"))


def counter(label: str, done: int, total: int, *, share: float, width: int, figures: int) -> Content:
    """`Batch  5,650 of 12,500  ━━━━━━╸─────  45 %` in `width` columns, with `figures` columns for the count.

    Where there is no room for a bar, there is none.
    """
    count = f"{done:,} of {total:,}".ljust(figures)
    room = width - len(label) - len(count) - 10
    percent = f"{int(100 * share):>3} %"
    parts: list[Content | tuple[str, str]] = [(f"{label} ", "$foreground 60%"), (count, "bold")]
    if room >= 4:
        parts += [Content("  "), bar(share, room, "$accent"), Content("  ")]
    return Content.assemble(*parts, percent if room >= 4 else f" {percent}")
