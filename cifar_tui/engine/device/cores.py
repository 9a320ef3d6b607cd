"""The CPU cores that this process may use. Imports no torch."""

import os


def available_threads() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
