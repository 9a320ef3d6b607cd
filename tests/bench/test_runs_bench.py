"""`cifar-tui bench runs`, for a short run."""

import json
import subprocess
import sys
import tempfile

import pytest

from cifar_tui.bench import long_run, processes, runs
from cifar_tui.bench.children import ask
from cifar_tui.bench.command import run_benchmarks
from cifar_tui.bench.options import BenchOptions
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.disk.event_log import read_events

STEPS = 200_000


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def measured(places):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(places))
        return runs.measure_runs(STEPS, openings=2, followings=2, following_seconds=1.5)


@pytest.fixture
def bench(measured):
    """Prints what was measured, and gives the exit code."""
    return lambda *, as_json: run_benchmarks(
        [], BenchOptions(), as_json=as_json, benchmarks={"runs": lambda _: measured}
    )


def test_the_log_of_a_run_is_made_as_a_training_makes_it(tmp_path):
    log = long_run.make_log(tmp_path, STEPS)
    counts = {}
    for event in read_events(log.folder):
        counts[type(event).__name__] = counts.get(type(event).__name__, 0) + 1
    assert log.steps == STEPS
    assert counts["EpochFinished"] == counts["Evaluated"] == 16
    assert counts["LossWindow"] == 16 * 6
    assert counts["SamplesPredicted"] == 1 + 16 * 7
    assert counts["LossPoint"] == 16 * 250
    assert log.lines == 1 + sum(counts.values())
    assert log.highest_in_log == log.highest_sent > 40


def test_what_is_measured_is_sane(measured):
    assert measured.steps == STEPS
    assert 500_000 < measured.log.size < 5_000_000
    assert measured.spikes_kept
    assert measured.opening_seconds.n == 2
    assert 0.01 < measured.opening_seconds.minimum <= measured.opening_seconds.maximum < 10
    assert 0 < measured.memory_mib.median < 100
    assert measured.memory_ratio > 0, "of runs as short as these it says no more"
    assert measured.following_core_share.n == measured.following_new_core_share.n == 2
    assert 0 <= measured.following_core_share.median < 0.5
    assert not measured.torch_imported


def test_nothing_is_left_behind(measured, places):
    assert list(places.iterdir()) == []


def test_the_json_has_everything(measured, bench, capsys):
    assert bench(as_json=True) == (0 if measured.met else 1)
    values = json.loads(capsys.readouterr().out)
    assert {"platform", "cpus", "python"} <= values["machine"].keys()
    found = values["runs"]
    for name in ("opening_seconds", "memory_mib", "memory_mib_at_a_tenth", "following_core_share"):
        assert found[name].keys() == {
            "median",
            "minimum",
            "maximum",
            "mean",
            "standard_deviation",
            "n",
        }
    assert found["steps"] == STEPS
    assert found["log_bytes"] == measured.log.size
    assert found["log_lines"] == measured.log.lines
    assert found["limits"] == {
        "log_bytes": 30_000_000,
        "opening_seconds": 2.0,
        "memory_ratio": 1.5,
        "following_core_share": 0.02,
    }
    assert found["met"] is measured.met


def test_the_table_is_plain_where_there_is_no_terminal(measured, bench, capsys):
    bench(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "The event log of a run of 200,000 steps"
    assert lines[1].split() == ["quantity", "median", "spread", "n", "limit", "met"]
    assert len(lines) == 2 + len(measured.figures())
    assert lines[2].endswith("✓")


def test_a_limit_that_is_not_met_shows(capsys, monkeypatch, measured, bench):
    monkeypatch.setattr(runs, "LOG_LIMIT_BYTES", 1000)
    assert bench(as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[2].endswith("✗")


def test_no_torch_is_imported():
    code = "import sys, cifar_tui.bench.runs, cifar_tui.bench.command; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_a_measuring_process_that_dies_is_told_of(capfd):
    with pytest.raises(RunFailedError, match="died"):
        ask("cifar_tui.bench.nothing")


def test_a_folder_that_is_no_run_is_told_of(tmp_path, capfd):
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        processes.measure_opening(tmp_path)
    assert capfd.readouterr().err == ""


def test_a_log_that_is_never_read_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(AttachedRun, "loaded", False)
    with pytest.raises(RunFailedError, match="was not read within"):
        processes._load(long_run.make_log(tmp_path, 50_000).folder)
