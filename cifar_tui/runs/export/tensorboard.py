"""Runs as event files of TensorBoard: scalars, the confusion matrix as an image, hyper-parameters."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.text import cut_names
from cifar_tui.runs.export.files import MARK, ExportFile
from cifar_tui.runs.export.matrix import MOST_NUMBERED, SHADE, shade
from cifar_tui.runs.export.record import RunRecord
from cifar_tui.runs.results import Results

if TYPE_CHECKING:
    from PIL import Image
    from tensorboard.compat.proto.event_pb2 import Event

_TEST_ACCURACY, _TEST_LOSS = "accuracy/test", "loss/test"
_FILE_VERSION = "brain.Event:2"
_CELL, _SMALL_CELL = 44, 4
_LONGEST_NAME = 20


def tensorboard_files(records: Sequence[RunRecord], folder: Path) -> list[ExportFile]:
    """Return an event file for each run, in `folder`/<ID of the run>.

    TensorBoard keeps values as float32. A run that is exported again replaces its file.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError:
        raise ConfigError(
            "--tensorboard needs TensorBoard, which is not installed: pip install 'cifar-tui[tensorboard]'"
        ) from None
    files = []
    for record in records:
        content = io.BytesIO()
        writer = RecordWriter(content)
        for event in _events(record):
            writer.write(event.SerializeToString())
        name = f"events.out.tfevents.{int(record.run.began)}.cifar-tui"
        files.append(ExportFile(path=folder / record.run.name / name, content=content.getvalue()))
    return files


def _events(record: RunRecord) -> Iterator["Event"]:
    """Yield the events of a run, the first of which tells whose they are."""
    from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
    from tensorboard.compat.proto.summary_pb2 import Summary

    began = record.run.began
    yield Event(wall_time=began, file_version=_FILE_VERSION, source_metadata=SourceMetadata(writer=MARK))
    for summary in _hyperparameters(record):
        yield Event(wall_time=began, summary=summary)
    for time, step, values in sorted(_scalars(record), key=lambda entry: entry[0]):
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        yield Event(wall_time=time, step=step, summary=Summary(value=scalars))
    if record.results is not None and record.evaluated is not None:
        picture = Summary.Image(**_confusion_image(record.results))
        summary = Summary(value=[Summary.Value(tag="confusion", image=picture)])
        yield Event(wall_time=record.evaluated.time, step=record.evaluated.step, summary=summary)


def _scalars(record: RunRecord) -> Iterator[tuple[float, int, dict[str, float]]]:
    """Yield times, steps and values by tag."""
    for point in record.points:
        values = {
            "loss/train": point.loss,
            "accuracy/train": point.accuracy,
            "learning_rate": point.learning_rate,
        }
        yield point.time, point.step, values
    for held_out in record.validations:
        values = {"loss/validation": held_out.loss, "accuracy/validation": held_out.accuracy}
        yield held_out.time, held_out.step, values
    for made in record.evaluations:
        yield made.time, made.step, {_TEST_LOSS: made.loss, _TEST_ACCURACY: made.accuracy}


def _hyperparameters(record: RunRecord) -> Iterator[Any]:
    """Yield what the HParams tab reads: the names and metrics, then the values of this run."""
    from tensorboard.plugins.hparams import summary_v2

    settings = {
        name: value if isinstance(value, bool | int | float | str) else str(value or "")
        for name, value in (record.run.config or {}).items()
    }
    yield summary_v2.hparams_config_pb(
        hparams=[summary_v2.HParam(name) for name in settings],
        metrics=[summary_v2.Metric(_TEST_ACCURACY), summary_v2.Metric(_TEST_LOSS)],
        time_created_secs=record.run.began,
    )
    yield summary_v2.hparams_pb(settings, trial_id=record.run.name, start_time_secs=record.run.began)


def _confusion_image(results: Results) -> dict[str, Any]:
    """Draw the confusion matrix as a PNG: shaded as the vector figure, with counts where there is room."""
    import numpy as np
    from PIL import Image, ImageColor, ImageDraw, ImageFont

    confusion, names = results.confusion, results.class_names
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    opacity = np.vectorize(shade, otypes=[float])(shares)[..., None]
    colours = 255 * (1 - opacity) + np.array(ImageColor.getrgb(SHADE)) * opacity
    cell = _CELL if len(names) <= MOST_NUMBERED else _SMALL_CELL
    pixels = colours.round().astype(np.uint8).repeat(cell, axis=0).repeat(cell, axis=1)
    picture = Image.fromarray(pixels)
    if cell == _CELL:
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                place = (cell * (column + 0.5), cell * (row + 0.5))
                draw.text(place, str(count), fill="black", font=font, anchor="mm")
        picture = _with_names(picture, names)
    content = io.BytesIO()
    picture.save(content, "PNG")
    size = {"width": picture.width, "height": picture.height}
    return size | {"colorspace": 3, "encoded_image_string": content.getvalue()}


def _with_names(picture: "Image.Image", names: Sequence[str]) -> "Image.Image":
    """Return `picture` with the classes written before its rows and over its columns."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    shown = cut_names(names, _LONGEST_NAME)
    room = 8 + max(round(font.getlength(name)) for name in shown)
    page = Image.new("RGB", (picture.width + room, picture.height + room), "white")
    page.paste(picture, (room, room))
    draw = ImageDraw.Draw(page)
    for k, name in enumerate(shown):
        draw.text((room - 4, room + _CELL * (k + 0.5)), name, fill="black", font=font, anchor="rm")
        label = Image.new("RGB", (room, _CELL), "white")
        ImageDraw.Draw(label).text((4, _CELL / 2), name, fill="black", font=font, anchor="lm")
        page.paste(label.rotate(90, expand=True), (room + _CELL * k, 0))
    return page
