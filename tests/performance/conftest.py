"""What a release must hold, measured: `pytest tests/performance`, on a machine that does nothing else."""

import sys

import pytest

from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Report

ROWS = pytest.StashKey()


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
