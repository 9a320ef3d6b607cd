"""The figures of runs as files: rendered, and read back."""

import io
import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from resvg_py import svg_to_bytes

from cifar_tui.runs.export.figures import svg_files
from cifar_tui.runs.export.matrix import confusion_figure
from cifar_tui.runs.export.record import read_record
from tests.hostile import TEXTS
from tests.runs.export.made_runs import made_points, made_run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def made(tmp_path):
    return read_record(made_run(tmp_path / "run", name="mine"))


def rendered(content):
    """The picture that `content`, an SVG file, shows."""
    return Image.open(io.BytesIO(svg_to_bytes(svg_string=content.decode()))).convert("RGB")


def pictures(records, folder):
    """The files by name, parsed."""
    return {file.path.name: ET.fromstring(file.content) for file in svg_files(records, folder)}


def texts_of(picture):
    return [text.text for text in picture.iter(f"{SVG}text")]


def test_every_chart_is_a_file_that_renders(made, tmp_path):
    files = svg_files([made], tmp_path)
    names = ["loss.svg", "accuracy.svg", "learning_rate.svg", "confusion-run.svg"]
    assert [file.path.name for file in files] == names
    for file in files:
        colours = {colour for _, colour in rendered(file.content).getcolors(1 << 24)}
        assert {(255, 255, 255), (0, 0, 0)} <= colours, "black on white"
        assert len(colours) > 20


def test_a_figure_needs_no_other_file_and_its_text_is_text(made, tmp_path):
    for file in svg_files([made], tmp_path):
        assert not re.search(rb"href|url\(|<image|<script|<style", file.content)
        assert b"<text" in file.content


def test_the_x_axis_is_in_epochs_if_all_runs_have_them(made, tmp_path):
    assert "Epoch" in texts_of(pictures([made], tmp_path)["loss.svg"])
    assert "Step" in texts_of(pictures([made, replace(made, started=None)], tmp_path)["loss.svg"])


def test_one_run_shows_training_validation_and_test_and_several_their_tests(made, tmp_path):
    assert {"test", "validation", "training"} <= set(texts_of(pictures([made], tmp_path)["accuracy.svg"]))
    other = read_record(made_run(tmp_path / "other", name="yours"))
    shown = texts_of(pictures([made, other], tmp_path)["accuracy.svg"])
    assert {"Test accuracy", "mine", "yours"} <= set(shown)


def test_accuracies_are_drawn_where_they_were_measured(made, tmp_path):
    picture = pictures([made], tmp_path)["accuracy.svg"]
    circles = [(float(mark.get("cx")), float(mark.get("cy"))) for mark in picture.iter(f"{SVG}circle")][:2]
    labels = {
        text.text: float(text.get("y")) - 4
        for text in picture.iter(f"{SVG}text")
        if text.get("text-anchor") == "end"
    }
    low, high = float(min(labels, key=float)), float(max(labels, key=float))
    bottom, top = labels[min(labels, key=float)], labels[max(labels, key=float)]
    drawn = [low + (high - low) * (bottom - y) / (bottom - top) for _, y in circles]
    assert drawn == pytest.approx([100 * event.accuracy for event in made.evaluations], abs=0.3)


def test_losses_that_are_not_finite_are_left_out_and_counted(made, tmp_path):
    points = [replace(point, loss=math.nan) for point in made.points[:3]] + list(made.points[3:])
    points[5] = replace(points[5], loss=math.inf)
    picture = pictures([replace(made, points=points)], tmp_path)["loss.svg"]
    assert any("4 non-finite points left out" in text for text in texts_of(picture))
    assert "nan" not in ET.tostring(picture, encoding="unicode").lower()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_are_drawn(made, tmp_path, count):
    for file in svg_files([replace(made, points=made.points[:count])], tmp_path):
        rendered(file.content)


def test_constant_curves_are_drawn(made, tmp_path):
    points = [replace(point, loss=1.0, learning_rate=0.0) for point in made.points]
    for file in svg_files([replace(made, points=points)], tmp_path):
        assert b"nan" not in file.content
        rendered(file.content)


def test_long_runs_make_small_files(made, tmp_path):
    points = made_points(np.random.default_rng(0), count=30_000)
    (loss, *_) = svg_files([replace(made, points=points)], tmp_path)
    assert len(loss.content) < 60_000


def test_a_run_without_predictions_has_no_matrix(made, tmp_path):
    made = replace(made, results=None)
    assert "confusion-run.svg" not in pictures([made], tmp_path)


def test_the_matrix_shows_every_count_but_zeros():
    counts = np.array([[50, 3], [0, 40]])
    shown = texts_of(ET.fromstring(ET.tostring(confusion_figure(counts, ("cat", "dog"), title="t"))))
    assert {"50", "3", "40", "cat", "dog", "Truth", "Predicted"} <= set(shown)
    assert "0" not in shown


def test_a_matrix_of_200_classes_is_small_and_renders():
    counts = np.diag(np.full(200, 40))
    rows, columns = np.random.default_rng(0).integers(0, 200, (2, 2000))
    counts[rows, columns] += 1
    picture = confusion_figure(counts, [f"class {k}" for k in range(200)], title="many")
    content = ET.tostring(picture)
    assert len(content) < 200_000
    rendered(content)


def test_a_class_that_never_occurs_has_an_empty_row():
    counts = np.array([[5, 0], [0, 0]])
    picture = confusion_figure(counts, ("a", "b"), title="t")
    shades = [path for path in picture.iter("path") if path.get("fill-opacity")]
    assert [path.get("d").count("M") for path in shades] == [1]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_names_of_others_are_text_in_a_figure(made, tmp_path, text):
    names = tuple(f"{text}{number}" for number in range(3))
    made = replace(made, results=replace(made.results, class_names=names), run=replace(made.run, title=text))
    for file in svg_files([made, made], tmp_path):
        shown = ET.fromstring(file.content)
        assert {child.tag.removeprefix(SVG) for child in shown.iter()} <= {
            "svg", "title", "rect", "g", "path", "text", "circle"
        }  # fmt: skip
