"""CSV as pandas reads it."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cifar_tui.runs.export.csv_files import csv_files
from cifar_tui.runs.export.record import read_record
from tests.hostile import TEXTS
from tests.runs.export.made_runs import made_points, made_run


@pytest.fixture
def first(tmp_path):
    return read_record(made_run(tmp_path / "first"))


@pytest.fixture
def tables(tmp_path):
    """Gives what pandas reads of the files of records, by name."""

    def tables(*records):
        files = csv_files(records, tmp_path)
        return {file.path.name: pd.read_csv(io.BytesIO(file.content)) for file in files}

    return tables


def test_points_are_those_that_were_logged(tables, first):
    points = tables(first)["points.csv"]
    assert set(points["run"]) == {"first"}
    for name in ("step", "epoch", "batch", "steps", "loss", "accuracy", "learning_rate", "images", "time"):
        assert points[name].tolist() == [getattr(point, name) for point in first.points]


def test_epochs_have_the_validation_after_them(tables, first):
    epochs = tables(first)["epochs.csv"]
    assert epochs[["epoch", "step", "loss"]].to_numpy().tolist() == [[1, 50, 2.0], [2, 100, 1.0]]
    assert epochs["validation_accuracy"].tolist() == [0.25, 0.5]


def test_evaluations_have_a_row_for_all_images_and_one_for_each_class(tables, first):
    rows = tables(first)["evaluations.csv"]
    overall = rows[rows["class"].isna()]
    assert overall["step"].tolist() == [50, 100]
    assert overall["accuracy"].tolist() == [made.accuracy for made in first.evaluations]
    assert overall["loss"].tolist() == [1.5, 1.25]
    last = rows[(rows["step"] == 100) & rows["class"].notna()]
    assert last["class"].tolist() == ["cat", "dog", "ship"]
    assert last["class_index"].tolist() == [0, 1, 2]
    assert last["correct"].tolist() == [entry.correct for entry in first.evaluations[-1].per_class]


def test_predictions_have_a_row_for_each_image(tables, first):
    rows = tables(first)["predictions.csv"]
    made = first.results
    assert rows["index"].tolist() == list(range(60))
    assert rows["truth"].tolist() == [made.class_names[k] for k in made.predictions.targets]
    assert rows["predicted"].tolist() == [made.class_names[k] for k in made.predictions.predicted]
    assert rows["truth_index"].tolist() == made.predictions.targets.tolist()
    assert rows["predicted_index"].tolist() == made.predictions.predicted.tolist()
    assert rows["confidence"].tolist() == pytest.approx(made.predictions.confidences.tolist(), abs=1e-6)
    assert rows["correct"].sum() == first.evaluated.correct
    assert rows["file"].isna().all()


def test_predictions_name_the_files_of_images_that_have_some(tables, first):
    files = [f"cat/{number}.png" for number in range(60)]
    first = replace(first, results=replace(first.results, files=files))
    assert tables(first)["predictions.csv"]["file"].tolist() == files


def test_several_runs_share_one_header(tables, first, tmp_path):
    second = read_record(made_run(tmp_path / "second", seed=1))
    for table in tables(first, second).values():
        assert table["run"].drop_duplicates().tolist() == ["first", "second"]
        assert table["step"].dtype.kind == "i"  # a second header would make it text


def test_what_is_not_finite_is_empty(tmp_path):
    points = [replace(point, loss=math.nan) for point in made_points(np.random.default_rng(0))]
    made = read_record(made_run(tmp_path / "run", points=points))
    (content, *_) = (file.content for file in csv_files([made], tmp_path))
    assert {row["loss"] for row in csv.DictReader(io.StringIO(content.decode()))} == {""}


def test_a_run_without_predictions_has_a_header_for_them(tables, first):
    assert len(tables(replace(first, results=None))["predictions.csv"]) == 0


def test_names_of_others_come_back_as_they_are(tmp_path, first):
    texts = [text for kind, text in TEXTS.items() if kind != "surrogates"]
    results = replace(first.results, class_names=tuple(texts[:3]), files=(texts * 3)[:60])
    for names in (texts[start : start + 3] for start in range(0, len(texts) - 2, 3)):
        results = replace(results, class_names=tuple(names))
        content = csv_files([replace(first, results=results)], tmp_path)[3].content.decode()
        rows = list(csv.DictReader(io.StringIO(content, newline="")))
        assert {row["truth"] for row in rows} == set(names)
        assert [row["file"] for row in rows] == (texts * 3)[:60]


def test_a_name_that_is_no_text_is_written_escaped(tmp_path, first):
    results = replace(first.results, class_names=("a\udcff", "b", "c"))
    content = csv_files([replace(first, results=results)], tmp_path)[3].content
    assert rb"a\udcff" in content
