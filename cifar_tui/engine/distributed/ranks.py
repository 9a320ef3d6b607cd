"""The processes that train one run together, and how they tell each other what they know."""

import os
import platform
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from cifar_tui.engine.distributed.launch import MEETING_CANCELLED, Launch
from cifar_tui.engine.errors import (
    CancelledError,
    ConfigError,
    DataUnavailableError,
    RunFailedError,
    UserError,
)

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""For what takes one process long while the others wait, such as a download."""

_POLL_SECONDS = 0.1

_SOURCE_LINE = re.compile(r"^\[[^\]]*\]\s*")

_IS_OF_GLOO = re.compile("gloo|caused pair closure", re.IGNORECASE)
"""Gloo raises plain RuntimeErrors. All name Gloo but that of a sum which fails as another one timed out."""


class LostRanksError(RunFailedError):
    """Another process of the run does not answer."""


class ReportedError(UserError):
    """What ended this process, as it is reported by the first one."""


class Ranks:
    """The processes of a run, of which this is one. Alone it has no others, and every method returns at once.

    All processes must call the same methods in the same order.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        local_rank: of this process on its host, from 0.
        local_size: number of processes on this host.
        group: the process group of the training; None alone and before `begin`.
        places: host and device of each process; none before `begin`.
    """

    def __init__(self, *, rank: int = 0, size: int = 1, local_rank: int = 0, local_size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        self.local_size = local_size
        self.group: Any = None  # torch has no type for it
        self.places: list[tuple[str, str]] = []
        self._processes: list[tuple[str, int]] = []

    @property
    def is_first(self) -> bool:
        """Whether this process owns the run: its folder, log and screen."""
        return self.rank == 0

    def begin(self, device: torch.device, *, timeout_minutes: float, description: str = "") -> None:
        """From here on, give up a process that does not answer for so long.

        Tensors on the CPU travel with Gloo, those on a GPU with NCCL.

        Args:
            device: that this process computes on; of the same type in all.
            timeout_minutes: how long to wait.
            description: of the device, for the user.

        Raises:
            LostRanksError: the others are lost.
        """
        if self.size == 1:
            return
        self.places = self._exchange((platform.node(), description))
        with self._explained():
            self.group = distributed.new_group(
                backend="cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
                timeout=timedelta(minutes=timeout_minutes),
            )

    def share(self, value: T) -> T:
        """Return the `value` of the first process: plain values and tensors on the CPU."""
        if self.size == 1:
            return value
        box = [value]
        with self._explained():
            distributed.broadcast_object_list(box, src=0, group=self.group, device=torch.device("cpu"))
        return box[0]

    def share_net(self, net: nn.Module) -> None:
        """Give `net` the weights and buffers that it has in the first process."""
        if self.size > 1:
            own = {name: tensor.cpu() for name, tensor in net.state_dict().items()}
            net.load_state_dict(self.share(own if self.is_first else {}))

    def share_buffers(self, net: nn.Module) -> None:
        """Give `net` the buffers that it has in the first process."""
        buffers = dict(net.named_buffers())
        if self.size > 1 and buffers:
            own = {name: buffer.cpu() for name, buffer in buffers.items()}
            with torch.no_grad():
                for name, buffer in self.share(own).items():
                    buffers[name].copy_(buffer)

    def highest(self, numbers: Sequence[int]) -> list[int]:
        """Return the highest of each of `numbers` in any process."""
        if self.size == 1:
            return list(numbers)
        highest = torch.tensor(numbers)
        with self._explained():
            distributed.all_reduce(highest, op=distributed.ReduceOp.MAX, group=self.group)
        return highest.tolist()

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum of the `tensor` of each process, which has the same shape in all, on its device."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        with self._explained():
            distributed.all_reduce(total, group=self.group)
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
            distributed.all_gather(parts, padded, group=self.group)
        return [part[:length] for part, length in zip(parts, lengths.tolist(), strict=True)]

    def wait_for_all(self) -> None:
        """Return when all processes have come here."""
        self.highest([0])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block that may fail in any process: then it fails in all, and the first one says why.

        Raises:
            UserError: the block's, in the first process; one of another process is said to be of it.
            ReportedError: in the other processes.
            CancelledError: the block was cancelled in any process.
        """
        failure: UserError | CancelledError | None = None
        try:
            yield
        except (UserError, CancelledError) as error:
            failure = error
        if self.size == 1:
            if failure is not None:
                raise failure
            return
        own = None if failure is None else _described(failure)
        described = self._exchange((own, platform.node(), os.getpid()))
        self._processes = [(host, process) for _, host, process in described]
        failures = [(rank, *found) for rank, (found, _, _) in enumerate(described) if found is not None]
        if not failures:
            return
        if any(code == 0 for _, code, _ in failures):
            raise CancelledError
        rank, code, sentence = failures[0]
        if self.rank:
            raise _reported(code, sentence)
        if failure is not None:
            raise failure
        raise _ERRORS[code](f"{self._name(rank)}: {sentence}")

    def in_turn(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done by the first process of each host before the others.

        What the first one downloads or writes into a cache is there for the others. Fails as `together`.
        """
        results: list[T] = []
        for is_turn in (self.local_rank == 0, self.local_rank > 0):
            if self.size == 1 and results:
                break
            with self.together():
                if is_turn:
                    results.append(work())
        return results[0]

    def check_same(self, value: str, difference: str) -> None:
        """Check that `value` is the same in all processes.

        Raises:
            ConfigError: it is not: `difference`, a sentence.
            ReportedError: the same, in other processes than the first.
        """
        with self.together():
            if self.share(value) != value:
                raise ConfigError(difference)

    def reported(self, error: UserError) -> UserError:
        """Return `error`, which all processes have at once; for the others, that the first one reports it."""
        return error if self.is_first else _reported(error.exit_code, str(error))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have what torch raises in a block, where another process is lost, become a sentence.

        Raises:
            LostRanksError: another process is lost.
        """
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and not _IS_OF_GLOO.search(str(error)):
                raise
            raise self._lost(error) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The same for a block that does nothing but to communicate."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            raise self._lost(error) from error

    def _exchange(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        with self._explained():
            distributed.all_gather_object(values, value)
        return values

    def _lost(self, error: Exception) -> LostRanksError:
        lines = str(error).strip().splitlines()
        # the rest is about reports of defects
        reason = _SOURCE_LINE.sub("", lines[0]).partition(". ")[0] if lines else type(error).__name__
        gone = [rank for rank, (host, process) in enumerate(self._processes) if _is_gone(host, process)]
        if not gone and self.size == 2:
            gone = [1 - self.rank]
        whom = " and ".join(map(self._name, gone)) or "another process"
        return LostRanksError(f"rank {self.rank} lost {whom} ({reason}); resume from the last checkpoint")

    def _name(self, rank: int) -> str:
        return f"rank {rank} on {self._processes[rank][0]}" if self._processes else f"rank {rank}"


ALONE = Ranks()
"""A process of its own."""

_ERRORS: dict[int, type[UserError]] = {
    error.exit_code: error for error in (ConfigError, DataUnavailableError, RunFailedError)
}


@contextmanager
def joined(launch: Launch | None) -> Iterator[Ranks]:
    """Be one of the processes that torchrun started, in a block; `ALONE` without a `launch`.

    Raises:
        CancelledError: `MEETING_CANCELLED` was set before all have come.
        LostRanksError: the others do not come, or are lost in the block.
    """
    if launch is None or launch.size == 1:
        yield ALONE
        return
    ranks = Ranks(
        rank=launch.rank, size=launch.size, local_rank=launch.local_rank, local_size=launch.local_size
    )
    with ranks._explained():  # noqa: SLF001 - of this module
        _meet(launch)
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


def _meet(launch: Launch) -> None:
    """Wait for the other processes of `launch`, in a thread, as torch's call cannot be interrupted."""
    failures: list[Exception] = []

    def meet() -> None:
        try:
            store, rank, size = next(distributed.rendezvous("env://", timeout=_PATIENCE))
            # after a restart, torchrun's store may still have the addresses of the processes before it
            store = distributed.PrefixStore(f"start {launch.restarts}", store)
            distributed.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=meet, name="cifar-tui-meet", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        # not by a request to stop, which the others would not hear of: torchrun would start all again
        if thread.is_alive() and MEETING_CANCELLED.is_set():
            raise CancelledError
    if failures:
        raise failures[0]


def _reported(exit_code: int, sentence: str) -> ReportedError:
    error = ReportedError(sentence)
    error.exit_code = exit_code
    return error


def _described(failure: UserError | CancelledError) -> tuple[int, str]:
    """The exit code and the sentence of an error; 0 for a cancelled block."""
    return (failure.exit_code, str(failure)) if isinstance(failure, UserError) else (0, "")


def _is_gone(host: str, process: int) -> bool:
    """Whether a process of this host has ended, as far as Linux tells; torchrun may not have collected it."""
    if host != platform.node() or not Path("/proc/self/stat").exists():
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
