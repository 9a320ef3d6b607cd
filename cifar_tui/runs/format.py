"""Numbers the way a reader likes them."""

UNKNOWN = "–"
"""Stands where a figure is not known, or not yet."""


def duration(seconds: float) -> str:
    """`0:07`, `12:05`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def byte_count(count: float) -> str:
    """`170.5 MB`, in decimal units."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def loss_figure(loss: float) -> str:
    """A loss in few characters, whatever its size."""
    if 0 < loss < 0.01:
        return f"{loss:.2g}"
    if loss < 100:
        return f"{loss:.3f}"
    return f"{loss:.1f}" if loss < 100_000 else f"{loss:.2e}"


def throughput(images_per_second: float) -> str:
    """`5,210 images/s`, with a decimal where it is slow."""
    return f"{images_per_second:,.{1 if images_per_second < 10 else 0}f} images/s"
