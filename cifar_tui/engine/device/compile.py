"""A net compiled by torch.compile before its first step, so that no step waits for it."""

import itertools
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from cifar_tui.engine.device.precision import autocast


class CompilationError(Exception):
    """torch.compile failed; the message is the first line of why."""


def compiled(
    net: nn.Module, examples: Collection[Tensor], sizes: Collection[int], precision: str
) -> Callable[[Tensor], Tensor]:
    """`net` compiled forward and backward for batches of each of `sizes`; its weights stay as they are.

    Args:
        net: in training mode.
        examples: float32 (N, 3, S, S) for every S, as a step gets them; repeated as often as is needed.
        sizes: images to a batch.
        precision: that the steps compute in.

    Raises:
        CompilationError: torch.compile cannot do it here; `net` is as it was.
    """
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    try:
        torch.compiler.reset()  # torch keeps a few graphs of a code, and computes eagerly beyond them
        fast: Callable[[Tensor], Tensor] = torch.compile(net, dynamic=False)
        for inputs, size in itertools.product(examples, sizes):
            repeats = -(-size // len(inputs))
            batch = inputs.repeat(repeats, 1, 1, 1)[:size].contiguous(memory_format=_format_of(inputs))
            with autocast(precision, batch.device):
                logits = fast(batch)
            torch.autograd.backward(logits.float().square().mean())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # what a compiler, its cache and its tools raise is not listed anywhere
        raise CompilationError(_first_line(error)) from error
    finally:
        net.zero_grad()
        net.load_state_dict(before)
    return fast


def _first_line(error: Exception) -> str:
    cause = getattr(error, "inner_exception", error)
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _format_of(inputs: Tensor) -> torch.memory_format:
    if inputs.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
