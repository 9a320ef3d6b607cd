"""The setting that names an architecture of torchvision: `torchvision:NAME`. Imports neither torch nor it."""

import importlib.util
import re
from functools import cache
from pathlib import Path

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.data.registry import PUBLISHED_PREFIX

FORM = f"{PUBLISHED_PREFIX}NAME"
"""What such a setting looks like."""

_SOME = ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "vit_b_16")
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"\w{1,100}", re.ASCII)
_REGISTERED = re.compile(r"^@register_model\(\)\n(?:^[@)\s].*\n)*^def (\w+)\(", re.MULTILINE)


def published_name(model: str) -> str | None:
    """The name of the architecture that the setting `model` names; None if it names none."""
    name = model.removeprefix(PUBLISHED_PREFIX)
    return None if name == model or _NAME.fullmatch(name) is None else name


@cache
def published_names() -> tuple[str, ...]:
    """The classifiers of the torchvision that is installed, sorted; () if its source cannot be read.

    They are read from its source: to ask torchvision takes as long as to import torch.
    """
    spec = importlib.util.find_spec("torchvision")
    folders = [] if spec is None else spec.submodule_search_locations or []
    names: set[str] = set()
    for folder in folders:
        for path in (Path(folder) / "models").glob("*.py"):
            try:
                names.update(_REGISTERED.findall(path.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError):
                continue
    return tuple(sorted(names))


def complete_published(text: str) -> str | None:
    """Return the first `torchvision:NAME` that begins with `text`, 18 before 101; None without one."""
    models = [PUBLISHED_PREFIX + name for name in published_names()] if text else []
    matching = [model for model in models if model.startswith(text)]
    return min(matching, key=lambda model: _NUMBER.sub(lambda found: found[0].zfill(9), model), default=None)


def published_problem(name: str) -> str | None:
    """Say why there is no architecture `name`; None if there is one, or if that is not known."""
    names = published_names()
    if not names or name in names:
        return None
    hint = suggestion(name, names) or f"; some are {', '.join(_SOME)}"
    return f"is not in torchvision{hint}"
