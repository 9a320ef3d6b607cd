"""Event files, as TensorBoard's own reader reads them."""

import io
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.export.files import write_files
from cifar_tui.runs.export.record import read_record
from cifar_tui.runs.export.tensorboard import tensorboard_files
from tests.runs.export.made_runs import made_run
from tests.runs.made_results import make_results


@pytest.fixture
def made(tmp_path):
    return read_record(made_run(tmp_path / "run", learning_rate=0.01))


@pytest.fixture
def read(tmp_path):
    """Gives what TensorBoard reads of a record after its export."""

    def read(record):
        write_files(tensorboard_files([record], tmp_path / "logs"))
        accumulator = EventAccumulator(
            str(tmp_path / "logs" / record.run.name), {"scalars": 0, "images": 0, "tensors": 0}
        )
        return accumulator.Reload()

    return read


def scalars(accumulator, tag):
    return [(event.wall_time, event.step, event.value) for event in accumulator.Scalars(tag)]


@pytest.mark.parametrize(
    ("tag", "events", "field"),
    [
        ("loss/train", "points", "loss"),
        ("accuracy/train", "points", "accuracy"),
        ("learning_rate", "points", "learning_rate"),
        ("loss/validation", "validations", "loss"),
        ("accuracy/validation", "validations", "accuracy"),
        ("loss/test", "evaluations", "loss"),
        ("accuracy/test", "evaluations", "accuracy"),
    ],
)
def test_scalars_come_back_equal_with_their_steps_and_times(made, read, tag, events, field):
    expected = [
        (event.time, event.step, float(np.float32(getattr(event, field)))) for event in getattr(made, events)
    ]
    assert expected
    assert scalars(read(made), tag) == expected


def test_a_loss_that_is_not_finite_comes_back_as_such(made, read):
    points = [replace(made.points[0], loss=math.nan), replace(made.points[1], loss=math.inf)]
    nan, infinite = (value for _, _, value in scalars(read(replace(made, points=points)), "loss/train"))
    assert math.isnan(nan)
    assert infinite == math.inf


def test_the_confusion_matrix_is_an_image_at_the_step_of_its_evaluation(made, read):
    targets = [0] * 10 + [1] * 10 + [2] * 20
    predicted = [0] * 8 + [1] * 2 + [0] * 1 + [1] * 9 + [0] * 10 + [2] * 10
    results = make_results(targets, predicted, history=made.results.history)
    (image,) = read(replace(made, results=results)).Images("confusion")
    assert image.step == 100
    picture = Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB")
    assert picture.size == (image.width, image.height)
    cell = 44
    left, top = (size - cell * 3 for size in picture.size)
    shades = [
        [sum(picture.getpixel((left + cell * column + 3, top + cell * row + 3))) for column in range(3)]
        for row in range(3)
    ]
    assert shades[0][2] == shades[1][2] == shades[2][1] == 3 * 255, "nothing is white"
    assert shades[2][0] == shades[2][2], "shares of the row count"
    assert shades[1][1] < shades[0][0] < shades[2][0] < shades[0][1] < shades[1][0]


def test_a_matrix_of_many_classes_is_small(tmp_path, read):
    many = [f"class {k}" for k in range(200)]
    (image,) = read(read_record(made_run(tmp_path / "many", classes=many, images=400))).Images("confusion")
    assert (image.width, image.height) == (800, 800)


def test_settings_are_hyperparameters_and_the_test_accuracy_is_their_metric(made, read):
    accumulator = read(made)
    found = {}
    for tag in (metadata.EXPERIMENT_TAG, metadata.SESSION_START_INFO_TAG):
        content = accumulator.SummaryMetadata(tag).plugin_data.content
        found[tag] = plugin_data_pb2.HParamsPluginData.FromString(content)
    values = found[metadata.SESSION_START_INFO_TAG].session_start_info
    assert values.hparams["learning_rate"].number_value == 0.01
    assert values.hparams["preset"].string_value == "tutorial"
    assert values.hparams["channels_last"].bool_value is False
    assert values.hparams.keys() == made.run.config.keys()
    metrics = found[metadata.EXPERIMENT_TAG].experiment.metric_infos
    assert [metric.name.tag for metric in metrics] == ["accuracy/test", "loss/test"]


def test_an_export_again_replaces_the_file_and_repeats_nothing(made, read):
    read(made)
    assert len(read(made).Scalars("loss/train")) == len(made.points)


def test_each_run_has_a_folder(made, tmp_path):
    other = read_record(made_run(tmp_path / "other"))
    files = tensorboard_files([made, other], tmp_path)
    assert [file.path.parent for file in files] == [tmp_path / "run", tmp_path / "other"]


def test_without_tensorboard_the_error_says_how_to_install_it(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'cifar-tui\[tensorboard\]'"):
        tensorboard_files([made], tmp_path)
