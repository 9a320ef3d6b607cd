"""The precision a training computes in: what was asked for, where it is stable and pays."""

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.device.capabilities import native_bf16

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_PRECISIONS = {"fp32", "tf32", *_AUTOCAST}
_LOSS_SCALE = 1024.0
_PROBED_SECONDS, _FEWEST_PROBES, _MOST_PROBES = 1.0, 3, 9
"""The first of them takes longer, and says nothing."""
_GAIN_THAT_PAYS = 1.1


def select_precision(wanted: str, net: nn.Module, images: Tensor) -> tuple[str, str | None]:
    """The precision to train `net` in, and a sentence on how it was chosen; None where nothing was.

    Args:
        wanted: auto, fp32, tf32, bf16 or fp16, which the device can do. "auto" is bf16 where it pays, else
            fp32; so is "bf16" on a CPU.
        net: on the device of `images`; it is left as it is.
        images: float32 (N, 3, 32, 32), normalised, to try both precisions with on a CPU.
    """
    device = images.device
    if device.type == "cpu" and wanted in {"auto", "bf16"}:
        return _probed(net, images)
    if wanted != "auto":
        return wanted, None if wanted == "fp32" else f"training in {wanted}"
    if device.type == "cuda" and native_bf16(device):
        return "bf16", "training in bf16, which this GPU computes natively"
    return "fp32", f"training in fp32: {device} does not compute natively in bf16"


def precision_of(steps: Any) -> str | None:  # noqa: ANN401 - comes from a file
    """The precision of the steps whose state a checkpoint holds; None where it does not say."""
    found = steps.get("precision") if isinstance(steps, dict) else None
    return found if isinstance(found, str) and found in _PRECISIONS else None


def _probed(net: nn.Module, images: Tensor) -> tuple[str, str]:
    rates = _images_per_second(net, images, ("fp32", "bf16"))
    chosen = "bf16" if rates["bf16"] >= _GAIN_THAT_PAYS * rates["fp32"] else "fp32"
    return chosen, (
        f"training in {chosen}: a probe on this processor made {rates['bf16']:,.0f} images/s in bf16 and "
        f"{rates['fp32']:,.0f} in fp32"
    )


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Computes in `precision` inside, where that is not how `device` computes anyway."""
    if precision not in _AUTOCAST:
        return nullcontext()
    return torch.autocast(device.type, dtype=_AUTOCAST[precision])


@contextmanager
def evaluation_precision(wanted: str, device: torch.device) -> Iterator[None]:
    """Run a block in the precision to evaluate in: `wanted` on a GPU that has it, fp32 anywhere else.

    So weights that were trained on another device can be evaluated here, and on a CPU it comes out the same
    again.
    """
    if device.type != "cuda":
        yield
        return
    chosen = "bf16" if wanted == "auto" else wanted
    if chosen == "bf16" and not native_bf16(device):
        chosen = "fp32"
    with matrix_precision(chosen), autocast(chosen, device):
        yield


def loss_scale(precision: str) -> float:
    """What a loss is multiplied with, so that its gradients do not vanish among what fp16 can tell apart."""
    return _LOSS_SCALE if precision == "fp16" else 1.0


@contextmanager
def matrix_precision(precision: str) -> Iterator[None]:
    """Run a block with float32 products on a GPU rounded to TF32, or not.

    Only "tf32" is. PyTorch rounds those of convolutions by itself, but "fp32" is exact, as it says, and so is
    what bf16 and fp16 leave in float32.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]  # has one
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def _images_per_second(net: nn.Module, images: Tensor, precisions: Sequence[str]) -> dict[str, float]:
    """How many images a second each precision trains on, at the best of a few steps on a copy of `net`.

    They take turns, so that all of them meet the same of what else the machine does.
    """
    tried = copy.deepcopy(net).train()
    fastest = dict.fromkeys(precisions, float("inf"))
    began = time.perf_counter()
    for probe in range(_MOST_PROBES):
        if probe >= _FEWEST_PROBES and time.perf_counter() - began > _PROBED_SECONDS:
            break
        for precision in precisions:
            started = time.perf_counter()
            with autocast(precision, images.device):
                logits = tried(images)
            torch.autograd.backward(functional.cross_entropy(logits.float(), _zeros(images)))
            fastest[precision] = min(fastest[precision], time.perf_counter() - started)
    return {precision: len(images) / seconds for precision, seconds in fastest.items()}


def _zeros(images: Tensor) -> Tensor:
    return torch.zeros(len(images), dtype=torch.int64, device=images.device)
