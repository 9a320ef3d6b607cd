"""The processes that train one run together, and how they tell each other what they know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.errors import RunFailedError

T = TypeVar("T")


class Ranks:
    """The processes of a run, of which this is one. Alone it has no others, and every method returns at once.

    All processes must call the same methods in the same order.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
    """

    def __init__(self, *, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_first(self) -> bool:
        """Whether this process owns the run: its folder, log and screen."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """Return the `value` of the first process: plain values and tensors on the CPU."""
        if self.size == 1:
            return value
        box = [value]
        with self._explained():
            distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def highest(self, numbers: Sequence[int]) -> list[int]:
        """Return the highest of each of `numbers` in any process."""
        if self.size == 1:
            return list(numbers)
        highest = torch.tensor(numbers)
        with self._explained():
            distributed.all_reduce(highest, op=distributed.ReduceOp.MAX)
        return highest.tolist()

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum of the `tensor` of each process, which has the same shape in all, on its device."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        with self._explained():
            distributed.all_reduce(total)
        return total

    def collect(self, tensor: Tensor) -> list[Tensor]:
        """Return the `tensor` of each process, on the CPU, where they may differ in their first dimension."""
        if self.size == 1:
            return [tensor]
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(tensor)
        lengths = self.add(lengths)
        padded = tensor.new_zeros((int(lengths.max()), *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        with self._explained():
            distributed.all_gather(parts, padded)
        return [part[:length] for part, length in zip(parts, lengths.tolist(), strict=True)]

    def wait_for_all(self) -> None:
        """Return when all processes have come here."""
        self.highest([0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Have what torch raises in a block become a sentence."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise RunFailedError(
                f"rank {self.rank} of {self.size} lost the others ({reason}); resume from the last checkpoint"
            ) from error


ALONE = Ranks()
"""A process of its own."""


@contextmanager
def joined(launch: Launch | None, device: torch.device, *, timeout_minutes: float) -> Iterator[Ranks]:
    """Be one of the processes that torchrun started, in a block; `ALONE` without a `launch`.

    Tensors on the CPU travel with Gloo, those on a GPU with NCCL.

    Args:
        launch: the place of this process.
        device: that it computes on.
        timeout_minutes: how long to wait for a process that does not answer.

    Raises:
        RunFailedError: the others do not come, or are lost in the block.
    """
    if launch is None:
        yield ALONE
        return
    ranks = Ranks(rank=launch.rank, size=launch.size)
    with ranks._explained():  # noqa: SLF001 - of this module
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            timeout=timedelta(minutes=timeout_minutes),
            device_id=device if device.type == "cuda" else None,
        )
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()
