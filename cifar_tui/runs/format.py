"""Format numbers for the user."""

_AGES = ((365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "m"))

UNKNOWN = "–"
"""Placeholder for an unknown figure."""


def duration(seconds: float) -> str:
    """Format as `24 s`, `3 m 41 s` or `1 h 05 m`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minute:02d} m"
    return f"{minute} m {second:02d} s" if minute else f"{second} s"


def age(seconds: float) -> str:
    """Format a time span in its largest unit: `45 s`, `12 m`, `5 h`, `3 d`, `2 y`."""
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(0, int(seconds))} s"


def byte_count(count: float) -> str:
    """Format as `170.5 MB`, in decimal units."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def loss_figure(loss: float) -> str:
    """Format a loss in few characters, whatever its size."""
    if 0 < loss < 0.01:
        return f"{loss:.2g}"
    if loss < 100:
        return f"{loss:.3f}"
    return f"{loss:.1f}" if loss < 100_000 else f"{loss:.2e}"


def rate_figure(learning_rate: float) -> str:
    """Format a learning rate in three significant digits, as `0.001` or `2.5e-05`."""
    return f"{learning_rate:.3g}"


def percentage(share: float, digits: int) -> str:
    """Format a share (0-1) as `57.5 %`."""
    return f"{100 * share:.{digits}f} %"


def change_text(change: float | None) -> str:
    """Format a change of a share (-1 to 1) in percentage points, as `▲ +4.0` or `▼ -0.5`."""
    if change is None:
        return UNKNOWN
    points = round(100 * change, 1)
    if not points:
        return "= 0.0"
    return f"{'▲' if points > 0 else '▼'} {points:+.1f}"


def throughput(images_per_second: float, over: str) -> str:
    """Format as `5,210 images/s now`, with a decimal below 10; `over` names the time it is measured over.

    "now" is the last few seconds of training, "whole run" all of them, without pauses.
    """
    return f"{images_per_second:,.{1 if images_per_second < 10 else 0}f} images/s {over}"


def stopped_at(step: int, total_steps: int) -> str:
    """Format as `stopped at step 5,000 of 25,000`; `total_steps` is 0 while unknown."""
    return f"stopped at step {step:,} of {total_steps:,}" if total_steps else "stopped"
