"""Compile a model before its first step, so that no step waits for the compiler."""

import itertools
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from cifar_tui.engine.device.interrupt import interrupted_when
from cifar_tui.engine.device.memory import is_out_of_memory
from cifar_tui.engine.device.precision import autocast
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.models.freezing import Frozen

Variant = tuple[Tensor, Frozen]
"""What a model is compiled for: float32 (N, 3, S, S), as a step gets it, repeated to fill a batch; and what
is frozen."""


class CompilationError(Exception):
    """torch.compile failed; the message is the first line of the reason."""


def compile_model(
    net: nn.Module,
    variants: Collection[Variant],
    batch_sizes: Collection[int],
    precision: str,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Callable[[Tensor], Tensor]:
    """Compile forward and backward of `net` for each variant and batch size; its weights do not change.

    Args:
        net: in training mode.
        variants: image sizes and what is frozen.
        batch_sizes: images per batch.
        precision: precision of the steps.
        cancelled: whether to stop early, which takes as long as the one kernel that is being compiled.

    Raises:
        CompilationError: torch.compile failed; `net` is unchanged.
        CancelledError: the user requested a stop; `net` is unchanged.
    """
    before = net.state_dict()
    for name, tensor in before.items():
        before[name] = tensor.clone()
    try:
        torch.compiler.reset()  # beyond a few graphs of the same code, torch falls back to eager
        compiled: Callable[[Tensor], Tensor] = torch.compile(net, dynamic=False)
        with interrupted_when(cancelled):
            for (inputs, frozen), size in itertools.product(variants, batch_sizes):
                _run(compiled, inputs, size, frozen, precision)
    except Exception as error:  # the exceptions of the compiler, its cache and its tools are not documented
        cause = getattr(error, "inner_exception", error)
        if isinstance(cause, CancelledError) or is_out_of_memory(cause):
            raise cause from None
        raise CompilationError(_first_line(cause)) from error
    finally:
        net.zero_grad()
        net.load_state_dict(before)
    return compiled


def _run(
    compiled: Callable[[Tensor], Tensor],
    inputs: Tensor,
    size: int,
    frozen: Frozen,
    precision: str,
) -> None:
    """Make torch compile forward and backward of a batch of `size`."""
    repeats = -(-size // len(inputs))
    batch = inputs.repeat(repeats, 1, 1, 1)[:size].contiguous(memory_format=_memory_format(inputs))
    frozen.freeze()
    try:
        with autocast(precision, batch.device):
            logits = compiled(batch)
        torch.autograd.backward(logits.float().square().mean())
    finally:
        frozen.thaw()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _memory_format(inputs: Tensor) -> torch.memory_format:
    if inputs.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
