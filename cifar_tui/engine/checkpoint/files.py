"""Save checkpoints atomically, and load them strictly without running code from the file."""

import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cifar_tui.engine.atomic import disk_errors_explained, write_atomically
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import BEST_FILE, LAST_FILE, WEIGHTS_FILE

_MAPPINGS = {"config", "provenance", "steps"}
REQUIRED_STATE = _MAPPINGS | {
    "model",
    "optimizer",
    "step",
    "epoch",
    "batch",
    "epoch_rng_state",
    "rng_state",
}
"""The keys that every `last.pt` must have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The state of a run after a step, as the content of its files.

    Attributes:
        state: content of `last.pt`: everything needed to resume.
        weights: content of `cifar_net.pth`: the plain `state_dict` on the CPU, as the tutorial saves it.
        best: content of `best.pt`: the weights of the best epoch; None if `best.pt` does not change.
        reason: why it is saved, for the user.
    """

    state: bytes
    weights: bytes
    best: bytes | None = None
    step: int
    reason: str


def serialized(content: object) -> bytes:
    """Return the bytes that `torch.save` writes for `content`, tensors and plain values."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def all_finite(content: object) -> bool:
    """Return whether all tensors of `content`, a tensor or nested mappings, are finite."""
    if isinstance(content, Mapping):
        return all(map(all_finite, content.values()))
    return not isinstance(content, Tensor) or bool(content.isfinite().all())


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `best.pt` if it changed, then `last.pt` and `cifar_net.pth`, each atomically.

    Raises:
        RunFailedError: a file cannot be written; each one is either old or new.
    """
    # best.pt comes first: after a kill, resuming from the old last.pt finds the same best epoch again.
    files = [(LAST_FILE, checkpoint.state), (WEIGHTS_FILE, checkpoint.weights)]
    if checkpoint.best is not None:
        files.insert(0, (BEST_FILE, checkpoint.best))
    for name, content in files:
        with disk_errors_explained(f"save '{folder / name}'"):
            write_atomically(folder / name, content)


def load_training_state(path: Path) -> dict[str, Any]:
    """Load a `last.pt`.

    Raises:
        ConfigError: the file cannot be read, is not a training checkpoint, is damaged, or could run code.
    """
    loaded = _load(path)
    if not isinstance(loaded, dict) or not _is_training_state(loaded):
        raise ConfigError(f"'{path}' is not a training checkpoint; resuming needs the last.pt of a run")
    return loaded


def _is_training_state(state: Mapping[str, Any]) -> bool:
    complete = state.keys() >= REQUIRED_STATE and all(isinstance(state[name], dict) for name in _MAPPINGS)
    return complete and isinstance(state["provenance"].get("backend"), str)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Load the `state_dict` in `path`: a plain one, as the tutorial saves it, or the one in a `last.pt`.

    Raises:
        ConfigError: the file cannot be read, is not a checkpoint, is damaged, or could run code.
    """
    loaded = _load(path)
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]
    items = loaded.items() if isinstance(loaded, dict) else ()
    if items and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in items):
        return dict(items)
    raise ConfigError(f"'{path}' contains no state_dict; save one with torch.save(net.state_dict(), …)")


def load_into(net: nn.Module, state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Load `state_dict` into `net`; names, shapes and dtypes must be the same. `path` is for the message.

    Raises:
        ConfigError: it does not match the model; the message names the first difference.
    """
    expected = net.state_dict()
    difference = _first_difference(expected, state_dict)
    if difference:
        raise ConfigError(
            f"'{path}' does not match the model: {difference}; choose its model with --set model=…"
        )
    net.load_state_dict(dict(state_dict))


def _first_difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    for name, tensor in expected.items():
        if name not in found:
            return f"missing {name}"
        if found[name].shape != tensor.shape:
            return f"{name} has shape {tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
        if found[name].dtype != tensor.dtype:
            return f"{name} is {found[name].dtype}, expected {tensor.dtype}"
    extra = next((name for name in found if name not in expected), None)
    return f"unexpected {extra}" if extra else None


def _load(path: Path) -> object:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read '{path}': {error.strerror}; check that it exists and is readable"
        ) from None
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd files, which are rejected below
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # A plain pickle of a newer protocol is rejected at its first byte, before a global in it is found.
        if "GLOBAL" in str(error) or (content.startswith(b"\x80") and len(content) > 1):
            raise ConfigError(
                f"'{path}' was not loaded: it is a pickle that could run code; save plain weights with "
                "torch.save(net.state_dict(), …)"
            ) from None
        raise ConfigError(f"'{path}' is not a PyTorch checkpoint") from None
    except Exception:  # noqa: BLE001 - what torch.load raises on damaged files is not documented
        raise ConfigError(f"'{path}' is not a PyTorch checkpoint, or is damaged or truncated") from None
