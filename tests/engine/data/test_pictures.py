"""Pictures as people have them: the right pixels, and what was done to them is said."""

import functools
import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from cifar_tui.engine.data import decode
from cifar_tui.engine.data.decode_files import DecodedFiles, decode_files
from cifar_tui.engine.data.registry import Progress
from tests.engine.data.deep import write_png, write_tiff
from tests.engine.data.folders import load, skipped


def decoded(*paths: Path) -> DecodedFiles:
    return decode_files(paths, threads=1, progress=Progress(lambda _: None, lambda: False))


def pixels(path: Path) -> np.ndarray:
    """The pixels of the only picture, shape (32, 32, 3)."""
    result = decoded(path)
    assert result.errors == {}
    return result.pixels[0].transpose(1, 2, 0).astype(int)


def ramp(high: float, channels: int = 1) -> np.ndarray:
    """From 0 to `high`, another way in each channel; shape (32, 32, channels)."""
    plane = np.linspace(0, high, 32 * 32).reshape(32, 32).round()
    return np.stack([plane, plane[::-1], plane.T][:channels], axis=2)


def opaque(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.full((32, 32, 1), 65_535)], axis=2)


LAYOUTS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "png": write_png,
    "tiff": write_tiff,
    "big-endian tiff": functools.partial(write_tiff, order=">"),
    "compressed tiff": functools.partial(write_tiff, compressed=True),
    "compressed big-endian tiff": functools.partial(write_tiff, compressed=True, order=">"),
}


@pytest.mark.parametrize(
    ("layout", "channels"),
    # Pillow reads no TIFF of grey and alpha in 16 bits.
    [("png", 2), *itertools.product(LAYOUTS, (1, 3, 4))],
)
@pytest.mark.parametrize("high", [1023, 4095, 65_535])
def test_every_layout_of_16_bits_keeps_its_contrast(
    tmp_path: Path, layout: str, channels: int, high: int
) -> None:
    values = ramp(high, 1 if channels < 3 else 3)
    path = LAYOUTS[layout](tmp_path / "a", values if channels % 2 else opaque(values))
    assert np.abs(pixels(path) - values * 255 / high).max() <= 0.5


@pytest.mark.parametrize("kind", ["i2", "i4", "u4", "f4"])
def test_wider_types_keep_their_contrast(tmp_path: Path, kind: str) -> None:
    values = ramp(1 if kind == "f4" else 4095)
    values = ramp(4095) / 4095 if kind == "f4" else values
    expected = values * 255 / values.max()
    assert np.abs(pixels(write_tiff(tmp_path / "a", values, kind=kind)) - expected).max() <= 0.5


def test_values_that_count_from_white_are_turned_round(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a", ramp(4095), white_is_zero=True)
    assert np.abs(255 - pixels(path) - ramp(4095) * 255 / 4095).max() <= 0.5


def test_negative_values_are_darker_than_zero(tmp_path: Path) -> None:
    found = pixels(write_tiff(tmp_path / "a", ramp(4095) - 1000, kind="i2"))
    assert found.min() == 0
    assert len(np.unique(found)) > 150


def test_invisible_values_neither_show_nor_count(tmp_path: Path) -> None:
    values = np.full((32, 32, 4), 4095)
    values[:16] = [65_535, 0, 0, 0]
    values[16:, :, 3] = 65_535
    result = decoded(write_png(tmp_path / "a", values))
    assert (result.pixels == 255).all()
    assert result.scales == {"more than 8 bits": (1, 0, 4095)}


def test_a_folder_shares_one_scale_and_8_bits_keep_theirs(tmp_path: Path) -> None:
    root = tmp_path / "images"
    write_png(root / "a" / "dark.png", np.full((32, 32, 1), 1000))
    write_png(root / "a" / "bright.png", np.full((32, 32, 1), 4000))
    write_png(root / "b" / "colour.png", np.full((32, 32, 3), 2000))
    Image.new("RGB", (32, 32), (100, 100, 100)).save(root / "b" / "8 bits.png")
    for _ in range(2):  # decoded, then from the cache
        dataset = load(root)
        images = [*dataset.train.images, *dataset.test.images]
        assert sorted(int(image[0, 0, 0]) for image in images) == [62, 100, 125, 249]
        assert "3 images with more than 8 bits: 0 is black and 4,095 is white in all of them" in dataset.notes
    write_png(root / "b" / "more.png", np.full((32, 32, 1), 60_000))
    dataset = load(root)
    images = [*dataset.train.images, *dataset.test.images]
    assert sorted(int(image[0, 0, 0]) for image in images) == [4, 8, 16, 100, 233]


def test_a_folder_has_the_scale_of_the_run_that_it_is_for_and_keeps_its_own_in_the_cache(
    tmp_path: Path,
) -> None:
    root, kind = tmp_path / "images", "more than 8 bits"
    for number, value in enumerate((0, 1000, 4000, 60_000)):
        write_png(root / "ab"[number % 2] / f"{value}.png", np.full((32, 32, 1), value))
    for _ in range(2):
        dataset = load(root, scales={kind: (0.0, 4095.0), "floating-point values": (0.0, 1.0)})
        images = [*dataset.train.images, *dataset.test.images]
        assert sorted(int(image[0, 0, 0]) for image in images) == [0, 62, 249, 255]
        said = f"4 images with {kind}: 0 is black and 4,095 is white in all of them"
        assert f"{said}, as in training (this folder alone: 0 and 65,535)" in dataset.warnings
        assert not any(said in note for note in dataset.notes)
        assert dataset.scales == {kind: (0, 4095), "floating-point values": (0, 1)}
        own = load(root)
        images = [*own.train.images, *own.test.images]
        assert sorted(int(image[0, 0, 0]) for image in images) == [0, 4, 16, 233]
        assert own.scales == {kind: (0, 65_535)}
        same = load(root, scales=own.scales)
        assert (same.notes, same.warnings) == (own.notes, own.warnings)


def test_a_deep_image_that_is_read_later_gives_all_another_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "images"
    for number, value in enumerate((1000, 2000, 4000, 60_000)):
        write_png(root / "ab"[number % 2] / f"{value}.png", np.full((32, 32, 1), value))
    real = decode._open

    def refusing(path: Path, formats: tuple[str, ...]) -> object:
        if path.name == "60000.png":
            raise PermissionError(13, "Permission denied")
        return real(path, formats)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "_open", refusing)
        load(root)
    dataset = load(root)
    images = [*dataset.train.images, *dataset.test.images]
    assert sorted(int(image[0, 0, 0]) for image in images) == [4, 8, 16, 233]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "tiff"])
def test_every_exif_orientation(tmp_path: Path, orientation: int, form: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.resize((32, 32), Image.Resampling.NEAREST).save(tmp_path / "a", format=form, exif=exif)
    with Image.open(tmp_path / "a") as reference:
        expected = np.asarray(ImageOps.exif_transpose(reference).convert("RGB"))
    assert np.array_equal(pixels(tmp_path / "a"), expected)


def test_a_deep_image_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(4095)[..., 0].astype(np.uint16)).save(tmp_path / "a.png", exif=exif)
    expected = np.rot90(ramp(4095) * 255 / 4095, k=-1)
    assert np.abs(pixels(tmp_path / "a.png") - expected).max() <= 0.5


def test_damaged_exif_data_do_not_cost_the_picture(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (9, 8, 7)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (pixels(tmp_path / "a.png") == [9, 8, 7]).all()


def test_ink_becomes_the_right_colour(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (64, 64), (255, 0, 0, 0))
    for form in ("jpeg", "tiff"):  # Pillow inverts JPEG as Adobe does
        cyan.save(tmp_path / form, format=form)
        assert np.abs(pixels(tmp_path / form) - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("form", ["gif", "png", "webp", "tiff", "avif"])
def test_the_first_of_several_frames_is_taken_and_said(
    tmp_path: Path, picture: Callable[..., Path], form: str
) -> None:
    root = tmp_path / "images"
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    for name in "ab":
        picture(root / name / "still.png", 5)
        frames[0].save(root / name / f"moving.{form}", save_all=True, append_images=frames[1:])
    assert np.abs(pixels(root / "a" / f"moving.{form}") - [255, 0, 0]).max() <= 3
    assert "images changed: 2 animations or several pages, of which the first is taken" in load(root).notes


def test_what_was_converted_and_resized_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / "a").mkdir(parents=True)
    (root / "b").mkdir()
    Image.new("L", (32, 32), 5).save(root / "a" / "grey.png")
    Image.new("1", (32, 32)).save(root / "a" / "black.png")
    Image.new("P", (40, 30)).save(root / "a" / "palette.png")
    Image.new("CMYK", (64, 64)).save(root / "b" / "ink.jpg")
    Image.new("RGBA", (32, 32), (1, 2, 3, 9)).save(root / "b" / "clear.png")
    Image.new("RGBA", (32, 32), (1, 2, 3, 255)).save(root / "b" / "opaque.png")
    Image.new("RGB", (1, 900)).save(root / "b" / "line.png")
    first = load(root)
    assert first.notes[0].endswith("3 resized 1×900 to 64×64 → 32×32 (the centre square of 2)")
    assert first.notes[1:] == (
        "converted to RGB: 2 grey, 1 palette, 1 CMYK",
        "images changed: 1 transparent, put on white",
        "1 with a side of fewer than 8 pixels, enlarged all the same",
    )
    assert load(root).notes == first.notes


def test_one_size_is_said_as_such(tmp_path: Path, picture: Callable[..., Path]) -> None:
    for name in ("train/a", "train/b", "val/a", "val/b"):
        picture(tmp_path / "images" / name / "0.png", size=(224, 224))
    (tmp_path / "images" / "val" / "a" / "notes.txt").write_text("no image")
    assert load(tmp_path / "images").notes == (
        "train/ 2 images of 2 classes, val/ 2 (used as test), 1 file skipped, resized 224×224 → 32×32",
    )


FOREIGN = {
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n": "PostScript, which is not run",
    b"\xc5\xd0\xd3\xc6" + bytes(40): "PostScript, which is not run",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "a Git LFS pointer: fetch the image",
    b"%PDF-1.7\n": "a PDF",
    b"\xff\x0a" + bytes(20): "JPEG XL",
    b'<?xml version="1.0"?>\n<svg xmlns="x">': "an SVG drawing",
    b"\n<!doctype HTML>": "a web page",
    b"PK\x03\x04" + bytes(30): "a ZIP archive",
    b"\0\0\0\x18ftypisom\0\0\0\0mp42isom": "a video",
}


@pytest.mark.parametrize("content", FOREIGN, ids=lambda content: FOREIGN[content])
def test_other_files_are_named_as_what_they_are(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    error = decoded(tmp_path / "a.jpg").errors[0]
    assert str(error).startswith(f"not an image but {FOREIGN[content]}")
    assert not error.passing


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n{ } loop\n",
        b"\xc5\xd0\xd3\xc6\x20\0\0\0\x50\0\0\0"
        + bytes(20)
        + b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\n\n%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n",
    ],
)
@pytest.mark.parametrize("name", ["a.eps", "a.jpg"])
def test_no_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, name: str
) -> None:
    for program in ("gs", "djpeg", "giftopnm"):
        (tmp_path / program).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tmp_path / program).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / name).write_bytes(content)
    assert 0 in decoded(tmp_path / name).errors
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("extension", ["heic", "jpg", "png"])
def test_avif_is_read_inside_any_extension(tmp_path: Path, extension: str) -> None:
    Image.new("RGB", (64, 64), (200, 30, 90)).save(tmp_path / f"a.{extension}", format="avif")
    assert np.abs(pixels(tmp_path / f"a.{extension}") - [200, 30, 90]).max() <= 6


def write_heic(path: Path, colour: tuple[int, int, int]) -> Path:
    from pillow_heif import from_pillow

    path.parent.mkdir(parents=True, exist_ok=True)
    from_pillow(Image.new("RGB", (64, 64), colour)).save(path.with_suffix(".heic"))
    path.with_suffix(".heic").rename(path)
    return path


def test_heic_is_read_inside_any_extension_with_its_reader(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.jpg", (200, 30, 90))
    assert np.abs(pixels(path) - [200, 30, 90]).max() <= 8
    whole = path.read_bytes()
    for damaged in (whole[:200], whole[: len(whole) // 2], whole[:24] + bytes(200)):
        path.write_bytes(damaged)
        error = decoded(path).errors[0]
        assert str(error).startswith("damaged HEIC")
        assert "not an image" not in str(error)
        assert not error.passing
        assert error.missing == ""


@pytest.mark.parametrize("form", ["avif", "heic"])
def test_too_large_an_image_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = tmp_path / "a.jpg"
    if form == "heic":
        write_heic(path, (200, 30, 90))
    else:
        Image.new("RGB", (64, 64), (200, 30, 90)).save(path, format=form)
    monkeypatch.setattr(decode, "_MAXIMUM_PIXELS", 1000)
    assert str(decoded(path).errors[0]) == "too many pixels (64 x 64)"


def test_heic_without_its_reader_is_counted_by_class_and_read_once_it_is_installed(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_heic(both / "train" / "cat" / f"phone {number}.jpg", (200, 30, 90))
    write_heic(both / "test" / "dog" / "phone.JPG", (200, 30, 90))
    with monkeypatch.context() as patch:
        patch.setattr(decode, "_has_heif", lambda: False)
        dataset = load(both)
        assert (len(dataset.train), len(dataset.test)) == (12, 5)
        assert (
            "left out 4 HEIC images (cat 3, dog 1); to read them: pip install 'cifar-tui[heif]'"
            in dataset.warnings
        )
        assert sum("HEIC" in warning for warning in dataset.warnings) == 1
        assert skipped(dataset) == []
        assert "4 files skipped" in dataset.notes[0]
    dataset = load(both)
    assert (len(dataset.train), len(dataset.test)) == (15, 6)
    assert skipped(dataset) == []


@pytest.mark.parametrize("cut", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "tiff", "bmp", "webp"])
def test_a_truncated_file_is_skipped_and_never_half_a_picture(tmp_path: Path, form: str, cut: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a", format=form)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: int(len(data) * cut)])
    error = decoded(tmp_path / "a").errors[0]
    assert not error.passing
