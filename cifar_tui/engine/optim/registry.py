"""The optimizers by name: ours, and those of torch. Imports no torch."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

from cifar_tui.engine.config.fields import suggestion

OPTIMIZERS: dict[str, str] = {
    "sgd": "cifar_tui.engine.optim.build:sgd",
    "nesterov": "cifar_tui.engine.optim.build:nesterov",
    "adamw": "cifar_tui.engine.optim.build:adamw",
    "muon": "cifar_tui.engine.optim.muon:muon",
}
"""`module:name` of what builds each, called with parameter groups and the config.

A new optimizer needs a function and a row here.
"""

TORCH_PREFIX = "torch:"
FORM = f"{TORCH_PREFIX}NAME"
"""What the name of an optimizer of torch looks like."""
TORCH_SUGGESTIONS = tuple(
    f"{TORCH_PREFIX}{name}" for name in ("Adam", "NAdam", "RAdam", "RMSprop", "Adagrad")
)

_CLASS = re.compile(r"^class ([A-Z]\w+)\((?:Optimizer|Adam)\):", re.MULTILINE)
_UNUSABLE = {
    "LBFGS": "computes the loss several times a step, which no step here does",
    "SparseAdam": "takes sparse gradients only",
    "Muon": "takes matrices only: set optimizer to muon, which takes convolution filters as well",
}


def torch_optimizer_name(optimizer: str) -> str | None:
    """The class in torch.optim that the setting `optimizer` names; None if it names one of `OPTIMIZERS`."""
    return optimizer.removeprefix(TORCH_PREFIX) if optimizer.startswith(TORCH_PREFIX) else None


@cache
def torch_optimizers() -> tuple[str, ...]:
    """The optimizers of the torch that is installed, read from its source, for to import it takes seconds."""
    spec = importlib.util.find_spec("torch")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [path for folder in folders for path in (Path(folder) / "optim").glob("*.py")]
    return tuple(
        sorted({name for path in files for name in _CLASS.findall(path.read_text(encoding="utf-8"))})
    )


def optimizer_problem(optimizer: str) -> str | None:
    """Say what is wrong with the setting `optimizer`; None if it is valid."""
    if optimizer in OPTIMIZERS:
        return None
    name = torch_optimizer_name(optimizer)
    if name is None:
        return f"must be one of {', '.join(OPTIMIZERS)}, or {FORM}{suggestion(optimizer, OPTIMIZERS)}"
    if name in _UNUSABLE:
        return _UNUSABLE[name]
    if name in torch_optimizers():
        return None
    usable = [known for known in torch_optimizers() if known not in _UNUSABLE]
    hint = suggestion(name, usable) or f"; there are {', '.join(usable)}"
    return f"is not in torch.optim{hint}"


def parse_options(text: str) -> dict[str, Any]:
    """Parse options as in a call in Python, such as `betas=(0.9, 0.95), eps=1e-6`.

    Raises:
        ValueError: they are none.
    """
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise ValueError(text)
        options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(text) from error
    if None in options or len(options) < len(call.keywords):  # of **, or one twice
        raise ValueError(text)
    return {str(name): value for name, value in options.items()}


def options_problem(text: str) -> str | None:
    """Say what `text` must be; None if it is empty, or options of an optimizer."""
    try:
        parse_options(text)
    except ValueError:
        return "must be options as in a call in Python, such as betas=(0.9, 0.95), eps=1e-6"
    return None
