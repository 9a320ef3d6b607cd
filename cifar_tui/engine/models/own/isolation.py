"""Run a user's code without it changing what the rest of the process relies on."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from cifar_tui.engine.device.random_state import randomness_kept

_STDIN, _OUTPUTS = "stdin", ("stdout", "stderr")
_FLAGS: tuple[tuple[Any, str], ...] = (
    (torch.backends.mkldnn, "enabled"),
    (torch.backends.cudnn, "enabled"),
    (torch.backends.cudnn, "benchmark"),
    (torch.backends.cudnn, "deterministic"),
)
_READING = frozenset({"fileno", "read", "readline", "readlines", "buffer", "__iter__", "__next__"})


@contextmanager
def isolated(say: Callable[[str], object], device: torch.device | None = None) -> Iterator[None]:
    """Run a block of a user's code, and put back what it may change: settings of torch and of the process.

    Args:
        say: takes what the block prints.
        device: whose random numbers stay as they are, besides those of the CPU; None if all may change.
    """
    kept_randomness = contextlib.nullcontext() if device is None else randomness_kept(device)
    streams = sys.stdin, sys.stdout, sys.stderr
    try:
        with kept_randomness, settings_kept(), streams_taken(say):
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams  # whatever they are by now


@contextmanager
def streams_taken(say: Callable[[str], object]) -> Iterator[None]:
    """Have `say` take what this thread prints in a block; it cannot read stdin. Other threads can do both."""
    before = {name: getattr(sys, name) for name in (_STDIN, *_OUTPUTS)}
    streams: dict[str, Any] = {name: _Output(before[name], say) for name in _OUTPUTS}
    streams[_STDIN] = _NoInput(before[_STDIN])
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in streams.items():
            if getattr(sys, name) is stream:  # or somebody else has replaced it since
                setattr(sys, name, before[name])


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put back settings of torch, the path of modules and the working folder after a block."""
    path, folder = list(sys.path), _working_folder()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    device, grad = torch.get_default_device(), torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    anomaly = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    flags = [(library, name, getattr(library, name)) for library, name in _FLAGS]
    try:
        yield
    finally:
        sys.path[:] = path
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)  # none costs nothing
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.autograd.set_detect_anomaly(*anomaly)
        for library, name, value in flags:
            if getattr(library, name) != value:
                setattr(library, name, value)
        if folder is not None and _working_folder() != folder:
            os.chdir(folder)


def _working_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd is no faster, and this one is to be given to chdir
    except OSError:  # it was removed
        return None


class _Stream:
    """A stream that one thread does not get."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - whatever stands in sys
        self._stream = stream
        self._thread = threading.get_ident()

    @property
    def _is_taken(self) -> bool:
        return threading.get_ident() == self._thread

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - that of the stream
        return getattr(self._stream, name)


class _Output(_Stream):
    def __init__(self, stream: Any, say: Callable[[str], object]) -> None:  # noqa: ANN401 - as above
        super().__init__(stream)
        self._say = say

    def write(self, text: str) -> int:
        if not self._is_taken:
            return int(self._stream.write(text))
        self._say(text)
        return len(text)

    def flush(self) -> None:
        if not self._is_taken:
            self._stream.flush()


class _NoInput(_Stream):
    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - that of the stream
        if name in _READING and self._is_taken:
            raise EOFError("a net cannot read stdin")
        return super().__getattr__(name)
