"""The generators of random numbers that a model may draw from: those of torch, Python and NumPy."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_NUMPY_SEEDS = 2**32
_PYTHON_VERSION = 3
"""Of the state of Python's generator."""


def seed_everything(seed: int) -> None:
    """Seed every generator with `seed`, 0 to 2^63 - 1."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % _NUMPY_SEEDS)  # noqa: NPY002 - the generator that a user's net draws from


@contextmanager
def randomness_kept(device: torch.device) -> Iterator[None]:
    """Put the generators of the CPU and of `device` back after a block, as if it had drawn nothing."""
    others = _other_states()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            _restore_others(others)


def random_states(device: torch.device) -> dict[str, Any]:
    """Return the states of all generators but that of torch on the CPU, as tensors and plain values."""
    on_cuda = device.type == "cuda"
    return {
        "cuda_rng_states": torch.cuda.get_rng_state_all() if on_cuda else [],
        "other_rng_states": _other_states(),
    }


def restore_random_states(states: Mapping[str, Any], device: torch.device) -> None:
    """Continue from what `random_states` returned; on another number of GPUs theirs stay as they are.

    A checkpoint from before a net could draw from others than those of torch lacks `other_rng_states`.

    Raises:
        KeyError, TypeError, ValueError: `states` has no such states.
    """
    if device.type == "cuda" and len(states["cuda_rng_states"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda_rng_states"])
    if "other_rng_states" in states:
        _restore_others(states["other_rng_states"])


def _other_states() -> dict[str, list[Any]]:
    _, numbers, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - see above
    key, position = numpy["state"]["key"].tolist(), int(numpy["state"]["pos"])
    return {
        "python": [list(numbers), gauss],
        "numpy": [key, position, int(numpy["has_gauss"]), float(numpy["gauss"])],
    }


def _restore_others(states: Mapping[str, Any]) -> None:
    numbers, gauss = states["python"]
    key, position, has_gauss, numpy_gauss = states["numpy"]
    try:
        random.setstate((_PYTHON_VERSION, tuple(numbers), gauss))
        np.random.set_state(("MT19937", np.array(key, np.uint32), position, has_gauss, numpy_gauss))  # noqa: NPY002 - see above
    except OverflowError:
        raise ValueError("a state of random numbers is not one") from None
