"""Compile a model before its first step, so that no step waits for the compiler."""

import itertools
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from cifar_tui.engine.device.precision import autocast


class CompilationError(Exception):
    """torch.compile failed; the message is the first line of the reason."""


def compile_model(
    net: nn.Module, examples: Collection[Tensor], batch_sizes: Collection[int], precision: str
) -> Callable[[Tensor], Tensor]:
    """Compile forward and backward of `net` for each image and batch size; its weights do not change.

    Args:
        net: in training mode.
        examples: one float32 (N, 3, S, S) per image size S, as a step gets it; repeated to fill a batch.
        batch_sizes: images per batch.
        precision: precision of the steps.

    Raises:
        CompilationError: torch.compile failed; `net` is unchanged.
    """
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    try:
        torch.compiler.reset()  # beyond a few graphs of the same code, torch falls back to eager
        compiled: Callable[[Tensor], Tensor] = torch.compile(net, dynamic=False)
        for inputs, size in itertools.product(examples, batch_sizes):
            repeats = -(-size // len(inputs))
            batch = inputs.repeat(repeats, 1, 1, 1)[:size].contiguous(memory_format=_memory_format(inputs))
            with autocast(precision, batch.device):
                logits = compiled(batch)
            torch.autograd.backward(logits.float().square().mean())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the exceptions of the compiler, its cache and its tools are not documented
        raise CompilationError(_first_line(error)) from error
    finally:
        net.zero_grad()
        net.load_state_dict(before)
    return compiled


def _first_line(error: Exception) -> str:
    cause = getattr(error, "inner_exception", error)
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _memory_format(inputs: Tensor) -> torch.memory_format:
    if inputs.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
