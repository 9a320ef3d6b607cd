"""Run a net on trial: whatever it changes of itself is put back."""

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cifar_tui.engine.models.own.modules import is_own_type

_DICTS = (dict, OrderedDict, defaultdict, Counter)
_SEQUENCES = (list, deque)


@contextmanager
def net_kept(net: nn.Module) -> Iterator[None]:
    """Put `net` back after a block: its weights, buffers, attributes, and generators of random numbers.

    A copy would leave it alone too, but not every net can be copied, and hooks of a copy may still belong to
    the net.
    """
    undo: list[Callable[[], object]] = []
    seen: set[int] = set()
    held: list[object] = [
        net,
        *net.parameters(),
        *net.buffers(),
    ]  # those of a scripted module are nowhere else
    while held:
        value = held.pop()
        if id(value) not in seen:
            seen.add(id(value))
            held += _remember(value, undo)
    try:
        yield
    finally:
        with torch.no_grad():
            for put_back in undo:
                put_back()


def _remember(value: Any, undo: list[Callable[[], object]]) -> list[object]:  # noqa: ANN401 - whatever a net holds
    """Add to `undo` what puts `value` back; return what it holds."""
    match value:
        case Tensor():
            undo.append(_restore_tensor(value))
        case torch.Generator():
            undo.append(partial(value.set_state, value.get_state()))
        case random.Random():
            undo.append(partial(value.setstate, value.getstate()))
        case np.random.RandomState():
            undo.append(partial(value.set_state, value.get_state()))
        case np.random.Generator():
            undo.append(partial(setattr, value.bit_generator, "state", value.bit_generator.state))
        case nn.Module():
            return [vars(value)]
        case tuple():
            return list(value)
        case _ if type(value) in _DICTS:
            content = dict(value)
            undo += [value.clear, partial(value.update, content)]
            return list(content.values())
        case _ if type(value) in _SEQUENCES:
            items = list(value)
            undo += [value.clear, partial(value.extend, items)]
            return items
        case _ if type(value) is set:
            undo += [value.clear, partial(value.update, set(value))]
        case _ if is_own_type(type(value)) and hasattr(value, "__dict__"):
            return [vars(value)]
    return []


def _restore_tensor(tensor: Tensor) -> Callable[[], object]:
    before, requires_grad = tensor.detach().clone(), tensor.requires_grad
    grad = tensor.grad if tensor.is_leaf else None

    def restore() -> None:
        if not torch.equal(tensor, before):  # an expanded one cannot be written, but is rarely changed
            tensor.detach().copy_(before)
        if tensor.is_leaf:
            tensor.grad = grad
            tensor.requires_grad_(requires_grad)

    return restore
