"""Pictures of the nearest training images: as many as fit, and which are of another class."""

import re

import numpy as np
import pytest

from cifar_tui.app.charts.gallery import PictureCache
from cifar_tui.app.charts.nearest import nearest_layout, nearest_lines
from cifar_tui.app.charts.palette import ANY_BACKGROUND
from cifar_tui.engine.evaluation.training_index import NearImage
from cifar_tui.runs.nearest import NearestImages
from tests.hostile import FILE_NAMES, TEXTS


def found(*targets, names=("cat", "automobile"), file="train/automobile/{}.png"):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    images = [
        NearImage(
            position=1000 + place,
            image=pixels,
            target=target,
            similarity=0.999 - place / 100,
            file=file.format(place),
        )
        for place, target in enumerate(targets)
    ]
    return NearestImages(images=tuple(images), class_names=names, notes=())


def drawn(near, width, height, truth="cat"):
    pictures = PictureCache([image.image for image in near.images], dithered=False)
    layout = nearest_layout(width, height)
    lines = nearest_lines(near, truth, layout, pictures, ANY_BACKGROUND)
    assert len(lines) <= height
    assert all(line.cell_length <= width for line in lines)
    return [line.text for line in lines], layout


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ((35, 20), 4),
        ((39, 21), 4),
        ((31, 13), 2),
        ((119, 11), 6),
        ((199, 15), 7),
        ((78, 10), 4),
        ((158, 20), 5),
        ((9, 9), 0),
    ],
)
def test_as_many_as_fit_are_shown(size, count):
    lines, layout = drawn(found(*[0] * 8), *size)
    assert len(re.findall(r"\d\.png +[01]\.\d\d", "".join(lines))) == count
    assert not count or layout.picture >= 13


def test_another_class_is_marked_without_colour():
    lines, _ = drawn(found(0, 1, 0, 1), 78, 10)
    assert lines[-2].split() == ["cat", "≠", "automobile", "cat", "≠", "automobile"]
    assert lines[-1].split() == ["0.png", "0.999", "1.png", "0.989", "2.png", "0.979", "3.png", "0.969"]


def test_where_there_is_room_the_folder_of_the_file_is_shown():
    lines, _ = drawn(found(1, 1), 199, 18)
    assert lines[-1].split()[:2] == ["train/automobile/0.png", "0.999"]


def test_images_in_no_file_have_their_number():
    lines, _ = drawn(found(0, file=""), 78, 10)
    assert lines[-1].split() == ["1,000", "0.999"]


@pytest.mark.parametrize("kind", ["title", "closing tags", "long", "marks", "surrogates", "newline"])
def test_hostile_names_are_literal(kind):
    near = found(0, 1, names=("dog", TEXTS[kind]), file=f"train/x/{FILE_NAMES[kind]}.png")
    lines, _ = drawn(near, 78, 10)
    assert all(line.isprintable() for line in lines)
