"""Elements of HTML and SVG, escaped by the standard library; control characters are shown as escapes."""

import re
from xml.etree import ElementTree as ET

from cifar_tui.engine.text import escape_hidden

_NAMESPACE = "http://www.w3.org/2000/svg"


def element(tag: str, *content: "ET.Element | str", **attributes: object) -> ET.Element:
    """Return an element with its content; `_` in the name of an attribute becomes `-`.

    A trailing `_` is dropped, as in `class_`; an attribute that is None is left out.
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), _text(value))
    add(made, *content)
    return made


def add(parent: ET.Element, *content: "ET.Element | str") -> None:
    """Append elements and texts to `parent`."""
    for part in content:
        if isinstance(part, ET.Element):
            parent.append(part)
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + escape_hidden(part)
        else:
            parent.text = (parent.text or "") + escape_hidden(part)


def svg(width: float, height: float, title: str, *content: ET.Element) -> ET.Element:
    """Return a picture of `width` × `height` px, drawn in the colour of the text around it."""
    return element(
        "svg",
        element("title", title),
        *content,
        xmlns=_NAMESPACE,
        viewBox=f"0 0 {figure(width)} {figure(height)}",
        width=figure(width),
        height=figure(height),
        role="img",
        font_family="Helvetica, Arial, 'DejaVu Sans', sans-serif",
        font_size="12",
        fill="currentColor",
    )


def svg_file(picture: ET.Element, mark: str) -> bytes:
    """Return `picture` as a file, black on white whatever the viewer's colours."""
    page = ET.Element(picture.tag, picture.attrib | {"color": "#000000"})
    page.append(ET.Comment(f" {mark} "))
    page.append(element("rect", width="100%", height="100%", fill="#ffffff"))
    page.extend(list(picture))
    content = ET.tostring(page, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{content}\n'.encode()


def html_file(page: ET.Element) -> bytes:
    """Return `page`, an `html` element, as a file."""
    return b"<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode", method="html").encode() + b"\n"


def figure(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return re.sub(r"\.0$", "", f"{value:.1f}")


def _text(value: object) -> str:
    return escape_hidden(value if isinstance(value, str) else str(value))
