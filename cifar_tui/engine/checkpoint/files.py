"""Save checkpoints atomically, and load them strictly without running code from the file."""

import io
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cifar_tui.engine.atomic import disk_errors_explained, write_atomically
from cifar_tui.engine.checkpoint.state import damage_in, missing_in
from cifar_tui.engine.device.memory import is_out_of_memory
from cifar_tui.engine.disk.regular import open_regular, read_large
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.layout import BEST_FILE, LAST_FILE, WEIGHTS_FILE
from cifar_tui.engine.text import cut


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


_ALWAYS_SAVED = {"model", "optimizer", "steps", "config", "provenance", "step"}
"""What a `last.pt` of any version has."""


def load_training_state(path: Path) -> dict[str, Any]:
    """Load a `last.pt`.

    Raises:
        ConfigError: the file cannot be read, is not a training checkpoint, is one of another version, is
            damaged, or could run code.
    """
    loaded = load_own_file(path)
    missing = missing_in(loaded) if isinstance(loaded, dict) else []
    if isinstance(loaded, dict) and missing and loaded.keys() >= _ALWAYS_SAVED:
        raise ConfigError(
            f"'{path}' was saved by another version of cifar-tui (it has no {missing[0]}): resume it "
            "with that version, or start a new run"
        )
    if not isinstance(loaded, dict) or missing:
        lacks = f" (it has no {missing[0]})" if missing else ""
        raise ConfigError(
            f"'{path}' is not a training checkpoint{lacks}; resuming needs the last.pt of a run"
        )
    damage = damage_in(loaded)
    if damage:
        raise ConfigError(f"'{path}' cannot be resumed from: {damage}; start a new run")
    return loaded


def load_own_file(path: Path) -> object:
    """Load a file of a run's folder as `load_file`, but never through a link.

    Raises:
        ConfigError: as `load_file`.
    """
    try:
        os.close(open_regular(path))
    except OSError as error:
        raise ConfigError(
            f"cannot read '{path}': {error.strerror}; check that it exists and is readable"
        ) from None
    return load_file(path)


def load_file(path: Path) -> object:
    """Load what `torch.save` or safetensors wrote, onto the CPU.

    Raises:
        ConfigError: the file cannot be read, is neither, is damaged, or could run code.
    """
    try:
        content = read_large(path, follow=True)
    except OSError as error:
        raise ConfigError(
            f"cannot read '{path}': {error.strerror}; check that it exists and is readable"
        ) from None
    header_size = int.from_bytes(content[:8], "little")
    if content[8:9] == b"{" and header_size <= len(content) - 8:
        return _load_safetensors(path, content)
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd files, which are rejected below
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # A plain pickle of a newer protocol is rejected at its first byte, before a global in it is found.
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused or (content.startswith(b"\x80") and len(content) > 1):
            held = f"it holds {cut(refused[1], 60)}, which" if refused else "it is a pickle that"
            raise ConfigError(
                f"'{path}' was not loaded: {held} could run code; save plain weights with "
                "torch.save(net.state_dict(), …)"
            ) from None
        raise ConfigError(f"'{path}' is not a PyTorch checkpoint") from None
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # what else torch.load raises on damaged files is not documented
        for kind in ("TorchScript archive", "legacy .tar format"):
            if kind in str(error):
                raise ConfigError(
                    f"'{path}' was not loaded: it is in the {kind}, which could run code; save plain weights "
                    "with torch.save(net.state_dict(), …)"
                ) from None
        raise ConfigError(f"'{path}' is not a PyTorch checkpoint, or is damaged or truncated") from None


def _load_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, RuntimeError, ValueError):  # KeyError: an unknown type
        raise ConfigError(f"'{path}' is not a safetensors file, or is damaged or truncated") from None
