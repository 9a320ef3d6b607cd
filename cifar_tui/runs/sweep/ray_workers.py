"""Runs on a Ray cluster, or on a local Ray: an actor for each run, which starts its process and waits for it.

Ray's core places the runs. What Ray Tune adds is here already: runs report in their folders and are resumed
from their checkpoints, and one function decides which are hopeless, for local workers and Ray alike. The
machines of a cluster must share the checkpoints folder and have cifar-tui installed.
"""

import importlib.util
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cifar_tui.engine.device.cores import available_threads
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.processes import MemberProcess, start_process

_ADDRESS_VARIABLE = "RAY_ADDRESS"
_POLL_SECONDS = 0.2
_REACH_SECONDS = 10.0
_LOCAL = "local"


class RayWorkers:
    """Runs on Ray, each with a GPU where Ray knows any, else with a share of the CPU cores.

    Args:
        folder: the folder of the sweep.
        plan: its plan.
        command: the command that trains the run with a number, on some CPU cores or all.
        address: "local" for a Ray of this machine alone, "auto" for the running one, or HOST:PORT.
        workers: runs at a time; 0 for as many as Ray has GPUs, or without any for one.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        folder: Path,
        plan: SweepPlan,
        command: Callable[[int, Sequence[int]], list[str]],
        *,
        address: str,
        workers: int,
    ) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ConfigError("--ray needs Ray: pip install 'cifar-tui[sweep]'") from error
        _check_reachable(address)
        try:
            local = {"num_cpus": max(workers, available_threads())} if address == _LOCAL else {}
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _unreachable(address, str(error).split("\n")[0].split(". ")[0].rstrip(".")) from None
        resources = ray.cluster_resources()
        on_gpu = all(config.device in {"auto", "cuda"} for config in plan.configs)
        gpus = int(resources.get("GPU", 0)) if on_gpu else 0
        self.count = workers or gpus or 1
        self._needs = {"num_gpus": min(1.0, gpus / self.count)} if gpus else {}
        cpus = int(resources.get("CPU", 1))
        self._needs["num_cpus"] = 1 if gpus else max(1, cpus // self.count)
        self._folder = folder.absolute()
        self._command = command
        self._actor = ray.remote(_Actor)

    def start(self, number: int, worker: int) -> MemberProcess:
        """Start run `number` as soon as Ray has room for it."""
        actor = self._actor.options(max_concurrency=2, **self._needs).remote()
        return _RayProcess(actor, self._command(number, ()), self._folder, number, worker)


def ray_address(given: str | None) -> str | None:
    """Return the address of the Ray to use: `given`, or that in the environment if Ray is installed."""
    if given is not None:
        return given
    address = os.environ.get(_ADDRESS_VARIABLE)
    return address if address and importlib.util.find_spec("ray") is not None else None


def _check_reachable(address: str) -> None:
    """Check that something listens at HOST:PORT: Ray itself would try for minutes.

    Raises:
        ConfigError: nothing does.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        raise _unreachable(address, reason or str(error)) from None


def _unreachable(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"no Ray at {address!r}: {reason}; start one with 'ray start --head', or use --ray local"
    )


class _RayProcess:
    """The process of a run, in the hands of an actor."""

    def __init__(self, actor: Any, command: list[str], folder: Path, number: int, worker: int) -> None:  # noqa: ANN401 - of a class that Ray makes
        self._actor = actor  # which ends once nobody refers to it
        self._code = actor.train.remote(command, str(folder), number, worker)
        self._stopped = False

    def exit_code(self) -> int | None:
        """Return its exit code; None while it lives or waits for room."""
        import ray

        ready, _ = ray.wait([self._code], timeout=0)
        if not ready:
            return None
        try:
            return int(ray.get(self._code))
        except ray.exceptions.RayError:  # the actor died, with its machine or for lack of memory
            return -signal.SIGKILL

    def stop(self) -> None:
        """Ask it to save and end."""
        if not self._stopped:
            self._stopped = True
            self._actor.stop.remote()


class _Actor:
    """Starts the process of a run and waits for it, on any machine of the cluster."""

    def __init__(self) -> None:
        self._process: MemberProcess | None = None
        self._stopped = False

    def train(self, command: Sequence[str], folder: str, number: int, worker: int) -> int:
        """Run `command` and return its exit code; 128 + SIGTERM if it was stopped before it began."""
        if self._stopped:
            return 128 + signal.SIGTERM
        self._process = start_process(command, dict(os.environ), Path(folder), number, worker)
        if self._stopped:
            self._process.stop()
        while (code := self._process.exit_code()) is None:
            time.sleep(_POLL_SECONDS)
        return code

    def stop(self) -> None:
        """Have the process save and end."""
        self._stopped = True
        if self._process is not None:
            self._process.stop()
