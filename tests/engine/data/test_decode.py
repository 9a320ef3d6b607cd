import contextlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tui.engine.data.decode import UnreadableImageError
from cifar_tui.engine.data.decode_files import decode_files, thread_count
from cifar_tui.engine.data.registry import Progress


def decoded(path: Path) -> np.ndarray:
    """The pixels of one file, shape (32, 32, 3)."""
    result = decode_files([path], threads=1, progress=Progress(lambda _: None, lambda: False))
    if result.errors:
        raise result.errors[0]
    return result.pixels[0].transpose(1, 2, 0)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_small_rgb_image_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = noise(32, 32, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(decoded(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"]
)
@pytest.mark.parametrize("size", [(32, 32), (100, 40), (7, 9)])
def test_every_mode_and_size(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    if mode in {"I;16", "I", "F"}:
        values = (noise(size[1], size[0]).astype(np.float64) * 257).astype(
            {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        )
        image = Image.fromarray(values)
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        values = noise(size[1], size[0], bands)
        image = (
            Image.frombytes(mode, size, values.tobytes())
            if mode not in {"1", "P"}
            else (Image.fromarray(values[..., 0]).convert(mode))
        )
    assert image.mode == mode
    image.save(tmp_path / "a.tiff")
    pixels = decoded(tmp_path / "a.tiff")
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert pixels.std() > 5


@pytest.mark.parametrize("extension", ["png", "JPG", "webp", "bmp", "gif", "ppm", "txt"])
def test_the_content_decides_and_not_the_extension(tmp_path: Path, extension: str) -> None:
    form = {"JPG": "jpeg", "txt": "png"}.get(extension, extension)
    Image.new("RGB", (50, 50), (200, 30, 90)).save(tmp_path / f"a.{extension}", format=form)
    assert np.abs(decoded(tmp_path / f"a.{extension}").astype(int) - [200, 30, 90]).max() <= 6


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 0x4321, dtype=np.uint16)).save(tmp_path / "a.png")
    assert (decoded(tmp_path / "a.png") == 0x43).all()


def test_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (decoded(tmp_path / "a.png") == 255).all()


def test_palette_transparency_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (40, 40), 3)
    image.putpalette([0, 0, 0] * 256)
    image.save(tmp_path / "a.png", transparency=3)
    assert (decoded(tmp_path / "a.png") == 255).all()


def test_centre_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((64, 192, 3), dtype=np.uint8)
    pixels[:, 64:128] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (decoded(tmp_path / "a.png")[:, 2:-2] >= 250).all()


def test_exif_orientation(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert (decoded(tmp_path / "a.png") == pixels[::-1]).all()


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (decoded(tmp_path / "a.gif") == [255, 0, 0]).all()


def test_truncated(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableImageError, match="truncated"):
        decoded(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("damage", range(40))
def test_damaged_files_only_ever_raise_one_error(tmp_path: Path, damage: int) -> None:
    generator = np.random.default_rng(damage)
    path = tmp_path / "a"
    form = ["png", "jpeg", "gif", "webp", "tiff", "bmp", "ico", "tga"][damage % 8]
    Image.fromarray(noise(40, 40, 3)).save(path, format=form)
    data = bytearray(path.read_bytes())
    for _ in range(20):
        data[generator.integers(0, min(len(data), 400))] = generator.integers(0, 256)
    path.write_bytes(data)
    with contextlib.suppress(UnreadableImageError):
        assert decoded(path).shape == (32, 32, 3)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("pixels_times", [1.5, 3])
def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels_times: float) -> None:
    monkeypatch.setattr("cifar_tui.engine.data.decode._MAXIMUM_PIXELS", 10_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    Image.new("RGB", (100, int(100 * pixels_times))).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImageError, match="too many"):
        decoded(tmp_path / "a.png")


def test_threads_only_where_they_pay() -> None:
    assert thread_count(1000) == 1
    assert thread_count(100_000) >= 1
