"""The example as a user takes it: copied, trained, changed, compared, predicted with."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import CommandLine

EXAMPLE = Path(importlib.util.find_spec("cifar_tui.examples").submodule_search_locations[0]) / "small_vit.py"


@pytest.fixture
def cli(tmp_path, capsys):
    return CommandLine(tmp_path, capsys)


def test_the_command_in_it_trains_a_copy_and_a_changed_one_is_another_net(cli, tmp_path, image_folder):
    shutil.copy(EXAMPLE, tmp_path)
    (line,) = (line for line in EXAMPLE.read_text().splitlines() if line.startswith("    cifar-tui train "))
    options = [*line.split()[2:], "--data", image_folder, "--epochs", "8", "--batch-size", "8"]
    first = cli.train(*options, "--name", "first", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["test"]["accuracy"] > 0.9
    copy = tmp_path / "small_vit.py"
    copy.write_text(copy.read_text().replace("depth: int = 4", "depth: int = 2"))
    assert cli.train(*options, "--name", "second").returncode == 0
    compared = cli.run("runs", "first", "second")
    assert "model source" in compared.stdout
    pictures = image_folder / "test" / "green"
    predicted = json.loads(cli.run("predict", "first", pictures, "--json").stdout)
    assert predicted["model"] == "small_vit.py:SmallViT"
    assert {prediction["class"] for prediction in predicted["predictions"]} == {"green"}
    exported = cli.run("export", "first", "second", "--html", "report.html")
    assert exported.returncode == 0, exported.stderr
    assert "small_vit.py:SmallViT" in (tmp_path / "report.html").read_text()
