"""Writes images of 16 bits per value in the layouts that scanners and cameras use."""

import struct
import zlib
from pathlib import Path

import numpy as np

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's, by the number of channels


def write_png(path: Path, values: np.ndarray) -> Path:
    """Write `values`, shape (H, W, C), as a PNG of 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def write_tiff(
    path: Path,
    values: np.ndarray,
    *,
    order: str = "<",
    kind: str = "u2",
    compressed: bool = False,
    white_is_zero: bool = False,
) -> Path:
    """Write `values`, shape (H, W, C), as a TIFF whose samples are of the numpy type `kind`."""
    height, width, channels = values.shape
    data = values.astype(order + kind).tobytes()
    if compressed:
        data = zlib.compress(data)
    tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [8 * int(kind[1])] * channels),
        259: ("H", [8 if compressed else 1]),
        262: ("H", [2 if channels >= 3 else 0 if white_is_zero else 1]),
        273: ("I", [0]),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(data)]),
        **({338: ("H", [2])} if channels == 4 else {}),
        339: ("H", [{"u": 1, "i": 2, "f": 3}[kind[0]]] * channels),
    }
    behind = 8 + 2 + 12 * len(tags) + 4
    extra = b""
    entries = []
    for tag, (form, numbers) in tags.items():
        value = struct.pack(f"{order}{len(numbers)}{form}", *numbers)
        if len(value) > 4:
            place, extra = behind + len(extra), extra + value
            value = struct.pack(order + "I", place)
        entries.append((tag, {"H": 3, "I": 4}[form], len(numbers), value.ljust(4, b"\0")))
    start = struct.pack(order + "I", behind + len(extra))
    directory = b"".join(
        struct.pack(order + "HHI", tag, form, count) + (start if tag == 273 else value)
        for tag, form, count, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + directory + struct.pack(order + "I", 0) + extra + data)
    return path
