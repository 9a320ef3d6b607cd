"""The settings and what they can be, for `cifar-tui train --help`."""

import shutil
import textwrap
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.config.text import setting_text

_WIDEST, _NARROWEST = 100, 40
_GAP = 2


def describe_settings() -> str:
    """Return one entry for each setting, by group, and for each choice that is explained."""
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns - _GAP))
    config = TrainConfig()
    defaults = {name: setting_text(name, getattr(config, name)) for name in SETTINGS}
    name_width, default_width = (max(map(len, texts)) + _GAP for texts in (defaults, defaults.values()))
    lines = ["all settings and their defaults (--set KEY=VALUE):"]
    for group, fields in groupby(SETTINGS.values(), lambda field: field.metadata["group"]):
        lines.append(f" {group}")
        for field in fields:
            label = f"  {field.name:{name_width}}{defaults[field.name]:{default_width}}"
            lines += _entry(label, _description(field.metadata, defaults[field.name]), width)
    for name, field in SETTINGS.items():
        choices = field.metadata["choices"]
        if any(choices.values()):
            lines += ["", f"{name}s (--set {name}=NAME):"]
            longest = max(map(len, choices)) + _GAP
            for choice, summary in choices.items():
                lines += _entry(f"  {choice:{longest}}", summary, width)
    return "\n".join(lines) + "\n"


def _description(metadata: Mapping[str, Any], default: str) -> str:
    """Return the description of a setting, with those values that are named nowhere else."""
    text = "".join(
        [metadata["description"], *(f", or {word!r}" for word in metadata["words"] if word != default)]
    )
    choices = metadata["choices"]
    named = any(choices.values()) or all(choice in text or choice == default for choice in choices)
    return text if named else f"{text} ({', '.join(choices)})"


def _entry(label: str, text: str, width: int) -> list[str]:
    indent = " " * len(label)
    return textwrap.wrap(text, width, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False)
