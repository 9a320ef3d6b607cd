"""`cifar-tui export`: formats, files that are in the way, runs that are active, stopped or resumed."""

import json

import pandas as pd
import pytest

from cifar_tui.cli.options import COMMANDS
from tests.cli.command import assert_one_sentence
from tests.runs.export.made_runs import made_run

FORMATS = ("csv", "tensorboard", "html", "markdown", "svg", "latex")


@pytest.fixture
def runs(tmp_path):
    """Two finished runs, the later called "second"."""
    made_run(tmp_path / "checkpoints" / "20260101-100000", name="first")
    made_run(tmp_path / "checkpoints" / "20260102-100000", name="second", seed=1)


def test_without_a_format_it_says_which_there_are(cli, runs):
    assert_one_sentence(
        cli.run("export", "latest"), 2, "name a format to export to: --csv, --tensorboard, --html"
    )


def test_without_a_run_it_says_so(cli, runs):
    assert_one_sentence(cli.run("export", "--html", "a.html"), 2, "RUN")


def test_a_run_that_does_not_exist_is_named(cli, runs):
    assert_one_sentence(cli.run("export", "third", "--html", "a.html"), 2, "no run 'third'")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_prints_the_files_it_has_written(cli, runs, tmp_path, name):
    result = cli.run("export", "first", "latest", f"--{name}", "out")
    assert (result.returncode, result.stderr) == (0, "")
    paths = result.stdout.splitlines()
    assert paths
    assert all(path.split("/")[0] == "out" for path in paths)
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()] or [tmp_path / "out"]
    assert {tmp_path / path for path in paths} == set(found)


def test_all_formats_are_exported_at_once(cli, runs, tmp_path):
    places = [word for name in FORMATS for word in (f"--{name}", f"out-{name}")]
    assert cli.run("export", "first", *places).returncode == 0
    assert {path.name for path in tmp_path.glob("out-*")} == {f"out-{name}" for name in FORMATS}


def test_the_options_are_the_formats():
    options = COMMANDS["export"].options["formats, at least one"]
    assert tuple(option.dest for option in options) == FORMATS


def test_a_run_named_twice_is_exported_once(cli, runs, tmp_path):
    cli.run("export", "first", "20260101-100000", "second", "--csv", "out")
    points = pd.read_csv(tmp_path / "out" / "points.csv")
    assert points["run"].drop_duplicates().tolist() == ["20260101-100000", "20260102-100000"]
    assert len(points) == 40


def test_a_file_of_somebody_else_is_kept(cli, runs, tmp_path):
    (tmp_path / "report.html").write_text("<p>my page</p>")
    result = cli.run("export", "first", "--csv", "out", "--html", "report.html")
    assert_one_sentence(result, 2, "'report.html' exists and was not exported by cifar-tui")
    assert (tmp_path / "report.html").read_text() == "<p>my page</p>"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_again_replaces_the_files(cli, runs, tmp_path, name):
    for run in ("first", "second", "first"):
        assert cli.run("export", run, f"--{name}", "out").returncode == 0


def test_two_formats_in_one_file_are_refused(cli, runs, tmp_path):
    result = cli.run("export", "first", "--html", "out", "--markdown", "out")
    assert_one_sentence(result, 2, "'out' is named twice")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_place_that_cannot_be_written_is_named(cli, runs, tmp_path, name):
    (tmp_path / "place").write_text("a file")
    result = cli.run("export", "first", f"--{name}", "place/out")
    assert_one_sentence(result, 2, "cannot write", "place/out", "a file is in the place of a folder")


def test_what_is_missing_is_said(cli, tmp_path):
    folder = made_run(tmp_path / "checkpoints" / "20260101-100000", name="first")
    (folder / "predictions.npz").unlink()
    result = cli.run("export", "first", "--html", "a.html")
    assert result.returncode == 0
    assert result.stderr == (
        "cifar-tui: run first has no stored predictions: no confusion matrix, no mistakes\n"
    )


def test_a_run_that_was_resumed_has_every_step_once_and_all_it_had_before(cli, image_folder, tmp_path):
    settings = ["--data", image_folder, "--set", "backend=eager", "--set", "chart_every=1"]
    assert cli.train("--epochs", "1", "--name", "mine", *settings).returncode == 0
    assert cli.run("export", "mine", "--csv", "before").returncode == 0
    assert cli.train("--resume", "mine", "--epochs", "2").returncode == 0
    result = cli.run("export", "mine", "--csv", "after", "--html", "report.html")
    assert (result.returncode, result.stderr) == (0, "")

    for name in ("points", "epochs"):
        before, after = (pd.read_csv(tmp_path / part / f"{name}.csv") for part in ("before", "after"))
        assert len(after) == 2 * len(before) > 0
        pd.testing.assert_frame_equal(after[: len(before)], before)
        assert after["step"].is_unique
    evaluations = pd.read_csv(tmp_path / "after" / "evaluations.csv")
    assert evaluations["step"].is_monotonic_increasing
    (report,) = (tmp_path / "checkpoints").glob("*/report.json")
    predictions = pd.read_csv(tmp_path / "after" / "predictions.csv")
    assert predictions["correct"].mean() == json.loads(report.read_text())["test"]["accuracy"]
    assert "data:image/png;base64," in (tmp_path / "report.html").read_text()
