"""Select the precision to train in, and compute in it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.device.capabilities import has_native_bf16
from cifar_tui.engine.models.own.trial import net_kept

_AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_PRECISIONS = {"fp32", "tf32", *_AUTOCAST_DTYPES}
_MAX_LOSS_SCALE = 1024
_PROBE_SECONDS = 1.0
_MIN_PROBES, _MAX_PROBES = 3, 9  # the first is slow and does not count: the fastest one does
_WORTHWHILE_SPEEDUP = 1.1


def select_precision(wanted: str, net: nn.Module, images: Tensor) -> tuple[str, str | None]:
    """Return the precision to train `net` in, and a sentence about the choice; None if fp32 was requested.

    Args:
        wanted: auto, fp32, tf32, bf16 or fp16, supported by the device. "auto" takes bf16 if it is faster,
            else fp32; so does "bf16" on a CPU.
        net: on the device of `images`; left unchanged.
        images: float32 (N, 3, 32, 32), normalised, to time both precisions with on a CPU.
    """
    device = images.device
    if device.type == "cpu" and wanted in {"auto", "bf16"}:
        rates = _images_per_second(net, images, ("fp32", "bf16"))
        chosen = "bf16" if rates["bf16"] >= _WORTHWHILE_SPEEDUP * rates["fp32"] else "fp32"
        verdict = "faster" if chosen == "bf16" else f"not {_WORTHWHILE_SPEEDUP:g} times as fast"
        return chosen, (
            f"training in {chosen}: bf16 is {verdict} on this CPU "
            f"({rates['bf16']:,.0f} against {rates['fp32']:,.0f} images/s)"
        )
    if wanted != "auto":
        return wanted, None if wanted == "fp32" else f"training in {wanted}"
    if has_native_bf16(device):
        return "bf16", "training in bf16, which this GPU supports natively"
    return "fp32", f"training in fp32: {device} does not support bf16 natively"


def precision_of(steps: Mapping[str, Any]) -> str | None:
    """Return the precision in the steps' state of a checkpoint; None if there is none."""
    found = steps.get("precision")
    return found if isinstance(found, str) and found in _PRECISIONS else None


def autocasts(precision: str) -> bool:
    """Whether `autocast` changes anything."""
    return precision in _AUTOCAST_DTYPES


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Run a block under autocast if `precision` is bf16 or fp16."""
    if not autocasts(precision):
        return nullcontext()
    return torch.autocast(device.type, dtype=_AUTOCAST_DTYPES[precision])


@contextmanager
def evaluation_precision(wanted: str, device: torch.device) -> Iterator[None]:
    """Run a block in the precision to evaluate in: `wanted` on a GPU that supports it, otherwise fp32.

    Weights trained on another device can thus be evaluated, and results on a CPU are reproducible.
    """
    if device.type != "cuda":
        yield
        return
    chosen = "bf16" if wanted == "auto" else wanted
    if chosen == "bf16" and not has_native_bf16(device):
        chosen = "fp32"
    with matrix_precision(chosen), autocast(chosen, device):
        yield


def loss_scale(precision: str, batch_size: int) -> float:
    """Return the factor of a batch's mean loss that keeps fp16 gradients from underflowing.

    A power of 2, so that scaling back is exact, and at most the batch size: beyond the sum of the losses,
    which the published recipes train with in fp16, gradients that are summed over pixels overflow.
    """
    if precision != "fp16":
        return 1.0
    return float(min(_MAX_LOSS_SCALE, 1 << (batch_size.bit_length() - 1)))


@contextmanager
def matrix_precision(precision: str) -> Iterator[None]:
    """Run a block with TF32 for float32 matrix products and convolutions on a GPU, for "tf32" only.

    By default PyTorch allows TF32 in convolutions; here "fp32" means full precision.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]  # missing in the stubs
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def _images_per_second(net: nn.Module, images: Tensor, precisions: Sequence[str]) -> dict[str, float]:
    """Time training steps of `net`, which is put back: the fastest step in each precision counts.

    The precisions alternate, so that the load of the machine affects them alike.
    """
    targets = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    fastest = dict.fromkeys(precisions, float("inf"))
    began = time.perf_counter()
    with net_kept(net):
        net.train()
        for probe in range(_MAX_PROBES):
            if probe >= _MIN_PROBES and time.perf_counter() - began > _PROBE_SECONDS:
                break
            for precision in precisions:
                started = time.perf_counter()
                with autocast(precision, images.device):
                    logits = net(images)
                torch.autograd.backward(functional.cross_entropy(logits.float(), targets))
                fastest[precision] = min(fastest[precision], time.perf_counter() - started)
    return {precision: len(images) / seconds for precision, seconds in fastest.items()}
