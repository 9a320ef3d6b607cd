"""`cifar-tui presets`: print a table of the presets, or one of them as TOML."""

import argparse
from collections.abc import Collection, Mapping
from typing import Any

import tomli_w

from cifar_tui.cli.output import json_text, printing_results
from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.config.presets import PRESET_SUMMARIES, PRESETS
from cifar_tui.engine.config.schema import SETTINGS, preset_values
from cifar_tui.engine.errors import ConfigError

_COLUMNS = {
    "preset": "preset",
    "model": "model",
    "epochs": "epochs",
    "batch_size": "batch size",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
}
_NUMBERS = {"epochs", "batch_size", "learning_rate"}
_GAP = "  "


def presets(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    name = options.preset
    if name is not None and name not in PRESETS:
        hint = suggestion(name, PRESETS) or f"; the presets are {', '.join(PRESETS)}"
        raise ConfigError(f"no preset {name!r}{hint}")
    with printing_results():
        if options.json:
            shown = [_as_json(preset) for preset in PRESETS] if name is None else _as_json(name)
            print(json_text(shown, indent=2))
        elif name is None:
            print("\n".join(_table(PRESETS)))
        else:
            print(f"# {PRESET_SUMMARIES[name]}")
            changes = {"preset": name, **PRESETS[name]}
            print(tomli_w.dumps({key: changes[key] for key in SETTINGS if key in changes}), end="")
    return 0


def _as_json(preset: str) -> dict[str, Any]:
    return {"preset": preset, "summary": PRESET_SUMMARIES[preset], "settings": preset_values(preset)}


def _table(names: Collection[str]) -> list[str]:
    """Return a line of figures and one of explanation for each preset."""
    rows = [_COLUMNS]
    for name in names:
        values = {"preset": name, **preset_values(name)}
        rows.append({key: str(values[key]) for key in _COLUMNS})
    widths = {key: max(len(row[key]) for row in rows) for key in _COLUMNS}
    heading, *lines = (_line(row, widths) for row in rows)
    indent = " " * widths["preset"] + _GAP
    explanations = [f"{indent}{PRESET_SUMMARIES[name]}" for name in names]
    return [heading, *(line for pair in zip(lines, explanations, strict=True) for line in pair)]


def _line(row: Mapping[str, str], widths: Mapping[str, int]) -> str:
    cells = (
        row[key].rjust(width) if key in _NUMBERS else row[key].ljust(width) for key, width in widths.items()
    )
    return _GAP.join(cells).rstrip()
