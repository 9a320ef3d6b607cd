"""Name what a file is that Pillow does not read, from its first bytes."""

HEIC, AVIF = "HEIC", "AVIF"

HEAD_BYTES = 256
"""How many of the first bytes tell what a file is."""

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), AVIF),
}

_PREFIXES = {
    b"version https://git-lfs": "a Git LFS pointer: fetch the image with git lfs pull",
    b"%!PS": "PostScript, which is not run",
    b"\xc5\xd0\xd3\xc6": "PostScript, which is not run",
    b"%PDF": "a PDF",
    b"\xff\x0a": "JPEG XL, which Pillow does not read",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL, which Pillow does not read",
    b"<svg": "an SVG drawing",
    b"<!DOCTYPE html": "a web page",
    b"<html": "a web page",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
}


def describe_foreign(head: bytes) -> str:
    """Return HEIC, AVIF or another name of the file that begins with `head`; "" if it is unknown."""
    if head[4:8] == b"ftyp":
        # The brand, then a version, then the compatible brands, which tell where the first is a general one.
        size = int.from_bytes(head[:4], "big")
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return known[0] if known else "a video or another file of its family"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<?xml") and b"<svg" in text:
        return "an SVG drawing"
    lower = text[:32].lower()
    for prefix, name in _PREFIXES.items():
        if head.startswith(prefix) or (prefix.isascii() and lower.startswith(prefix.lower())):
            return name
    return ""
