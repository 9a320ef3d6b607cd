"""Checkpoints: atomic saves, and strict loads that never run code from a file."""

import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.layout import BEST_FILE, LAST_FILE, WEIGHTS_FILE

REQUIRED_STATE = {"model", "optimizer", "config", "step", "epoch", "batch", "epoch_rng_state", "rng_state"}
"""What a `last.pt` has at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A training at one moment, as the bytes of its files.

    Attributes:
        state: of `last.pt`: everything a training needs to go on.
        weights: of `cifar_net.pth`: the plain `state_dict` on the CPU, as the tutorial saves it.
        best: of `best.pt`: the weights of the best epoch; None while it is another's, or none is chosen.
        reason: why it is saved, for the user.
    """

    state: bytes
    weights: bytes
    best: bytes | None = None
    step: int
    epoch: int
    reason: str


def serialized(content: object) -> bytes:
    """`content`, tensors and plain values, as `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def all_finite(content: object) -> bool:
    """Whether every number is finite in every tensor of `content`, a tensor or mappings of them."""
    if isinstance(content, Mapping):
        return all(map(all_finite, content.values()))
    return not isinstance(content, Tensor) or bool(content.isfinite().all())


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `best.pt`, if it is new, `last.pt` and `cifar_net.pth`, each atomically.

    Raises:
        RunFailedError: one of them cannot be written; each is as it was, or new.
    """
    # a kill after the first leaves a checkpoint from which the same best epoch is found again
    files = [(LAST_FILE, checkpoint.state), (WEIGHTS_FILE, checkpoint.weights)]
    if checkpoint.best is not None:
        files.insert(0, (BEST_FILE, checkpoint.best))
    for name, content in files:
        try:
            write_atomically(folder / name, content)
        except OSError as error:
            raise RunFailedError(
                f"cannot save {folder / name}: {error.strerror}; free or change the place and save again"
            ) from error


def load_training_state(path: Path) -> dict[str, Any]:
    """What `last.pt` holds.

    Raises:
        ConfigError: the file cannot be read, is no checkpoint of a training, is damaged, or could run code.
    """
    loaded = _load(path)
    if not isinstance(loaded, dict) or not loaded.keys() >= REQUIRED_STATE:
        raise ConfigError(f"{path} is no checkpoint that a training can go on from")
    return loaded


def load_weights(path: Path) -> dict[str, Tensor]:
    """The `state_dict` in `path`: plain, as the tutorial saves it, or inside a `last.pt`.

    Raises:
        ConfigError: the file cannot be read, is no checkpoint, is damaged, or could run code.
    """
    loaded = _load(path)
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError(f"{path} holds no state_dict; save one with torch.save(net.state_dict(), …)")
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()):
        raise ConfigError(f"{path} holds no state_dict; save one with torch.save(net.state_dict(), …)")
    return loaded


def load_into(net: nn.Module, state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Put `state_dict` into `net`, which must have exactly its names and shapes.

    Raises:
        ConfigError: it is of another architecture; the message names the first difference. `path` is for it.
    """
    expected = net.state_dict()
    difference = _first_difference(expected, state_dict)
    if difference:
        raise ConfigError(
            f"{path} is of another architecture: {difference}; name its model with --set model=…"
        )
    net.load_state_dict(dict(state_dict))


def _first_difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    for name, tensor in expected.items():
        if name not in found:
            return f"it has no {name}"
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)} where {tuple(tensor.shape)} is needed"
            return f"its {name} has the shape {shapes}"
        if found[name].dtype != tensor.dtype:
            return f"its {name} is {found[name].dtype} where {tensor.dtype} is needed"
    extra = next((name for name in found if name not in expected), None)
    return f"it has {extra} besides" if extra else None


def _load(path: Path) -> object:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd files, which are refused below
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # a plain pickle of a newer protocol is refused at its first byte, before a global in it is seen
        if "GLOBAL" in str(error) or (content.startswith(b"\x80") and len(content) > 1):
            raise ConfigError(
                f"{path} is refused: it is a pickle that could run code; save plain weights with "
                "torch.save(net.state_dict(), …)"
            ) from None
        raise ConfigError(f"{path} is not a PyTorch checkpoint") from None
    except Exception:  # noqa: BLE001 - what a damaged file makes the reader raise is not listed anywhere
        raise ConfigError(f"{path} is not a PyTorch checkpoint, or it is damaged or cut short") from None
