"""Interrupt a long call that cannot be asked to stop, such as that of a compiler."""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cifar_tui.engine.errors import CancelledError

_POLL_SECONDS = 0.1
_REPEAT_SECONDS = 2.0
"""An interrupt is lost where an exception is, such as in a finalizer."""


class _Interrupt(KeyboardInterrupt):
    """What ctrl+c raises, which such calls clean up after, in a thread that gets no signals."""


@contextmanager
def interrupted_when(cancelled: Callable[[], bool]) -> Iterator[None]:
    """Run a block that ends soon after `cancelled` returns true: once its thread runs Python code again.

    Raises:
        CancelledError: it does.
    """
    thread, lock, over = threading.get_ident(), threading.Lock(), threading.Event()

    def watch() -> None:
        pause = _POLL_SECONDS
        while not over.wait(pause):
            if cancelled():
                pause = _REPEAT_SECONDS
                with lock:
                    if not over.is_set():
                        _raise_in(thread, _Interrupt)

    watcher = threading.Thread(target=watch, name="cifar-tui-interrupt", daemon=True)
    watcher.start()
    try:
        yield
    except _Interrupt:
        pass
    finally:
        while not over.is_set():
            with suppress(_Interrupt), lock:
                over.set()
                _raise_in(thread, None)  # what has not been raised yet
        watcher.join()
    if cancelled():
        raise CancelledError


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have `thread` raise `kind` when it runs Python code; None to take that back."""
    raised = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
