"""What a release must hold, measured: `pytest tests/performance`, on a machine that does nothing else."""

import math
import sys
import time

import plotext
import pytest

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Measurement, Report

ROWS = pytest.StashKey()

PLOT_SECONDS = 0.0084
"""Processor time of a plot on the core that limits in seconds and in shares of a core are for."""


def pytest_configure(config):
    config.stash[ROWS] = []


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(1200))
        item.add_marker(pytest.mark.alone)


def pytest_terminal_summary(terminalreporter, config):
    """Print all figures with their spread, met or not."""
    rows = tuple(config.stash[ROWS])
    if rows:
        report = Report(title="Performance", rows=rows)
        terminalreporter.write("\n" + report.to_text(terminal=sys.stdout.isatty()) + "\n")


@pytest.fixture(scope="session")
def slowness(request):
    """The time that a core here takes for a plot, over `PLOT_SECONDS`: cores differ by a factor of three."""

    def seconds():
        start = time.process_time()
        plotext.clear_figure()
        plotext.limit_size(False, False)  # else the plot is no larger than the terminal of the tests
        plotext.plotsize(90, 24)
        plotext.plot([math.sin(point / 7) for point in range(500)], marker="braille")
        plotext.build()
        return time.process_time() - start

    slowness = min(seconds() for _ in range(100)) / PLOT_SECONDS
    request.config.stash[ROWS] += (
        Measurement(name="slowness of a core: a plot, over 8.4 ms", values=(slowness,)),
    )
    return slowness


@pytest.fixture
def check(request):
    """Print measurements at the end of the session, and fail for those outside their limits."""

    def check_all(*rows):
        request.config.stash[ROWS] += rows
        missed = [f"{row.name}: {row.median:.3f} (limit {row.limit})" for row in rows if not row.met]
        assert not missed

    return check_all


@pytest.fixture
def steady_config(tmp_path):
    """Settings of a preset that only trains, without end, on synthetic images."""
    return BenchOptions(data_dir=str(tmp_path / "data")).steady_config
