"""`RunFolder`: a run's folder that is found again after somebody has renamed or moved it."""

import contextlib
import itertools
import os
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from cifar_tui.engine.atomic import write_atomically
from cifar_tui.engine.disk.regular import open_regular
from cifar_tui.engine.layout import BEST_FILE, LAST_FILE, MODEL_FILE, REPORT_FILE, WEIGHTS_FILE

_REMOVED = " (deleted)"
"""How Linux ends the name of what a descriptor of a removed folder belongs to."""

_HELD = (MODEL_FILE, BEST_FILE, LAST_FILE, WEIGHTS_FILE, REPORT_FILE)
_REMAKE_SECONDS, _POLL_SECONDS = 5.0, 0.05


class RunFolder:
    """The folder of a run, held by a descriptor, which follows it where it is moved. Thread-safe.

    Where the system cannot say what a descriptor belongs to, the folder is where it was opened. From `hold`
    until `let_go`, its results are held by descriptors too: a removed file can still be read through one.

    Args:
        path: the folder.

    Raises:
        OSError: it is not a folder, or must not be entered.
    """

    def __init__(self, path: Path) -> None:
        self._changing = threading.Lock()
        self._holding = False
        self._held: dict[str, _Descriptor] = {}
        self._open(path)

    @property
    def path(self) -> Path:
        """Where the folder is now, or was before it was removed."""
        target = self._target()
        if target not in {self._known_target, ""} and not self._is_removed(target):
            self._move(target)
        return self._path

    @property
    def removed(self) -> bool:
        """Whether the folder no longer exists."""
        return self._is_removed(self._target())

    def hold(self) -> None:
        """Hold the checkpoints and the report, those that are there and those to come, until `let_go`."""
        with self._changing:
            self._holding = True
            self._hold_files()

    def let_go(self) -> None:
        """Hold only the folder: what is removed from now on frees its disk space."""
        self._holding, self._held = False, {}  # without the lock: a disk may hang

    @contextlib.contextmanager
    def saving(self) -> Iterator[Path]:
        """Give the folder to write results into, in a block in which none are put back."""
        with self._changing:
            if not self.removed:  # what is replaced would need its disk space until the end
                self._held.clear()
            try:
                yield self.path
            finally:
                self._hold_files()

    def put_back(self) -> None:
        """Write the results again that were removed.

        Raises:
            OSError: they cannot be written.
        """
        with self._changing:
            self._put_back(self.path)
            self._hold_files()

    def remake(self) -> None:
        """Make a folder with the results in place of one that was removed, beside what is there by now.

        Raises:
            OSError: it cannot be made.
        """
        with self._changing:
            gone = self._path
            gone.parent.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                path = gone if number == 1 else gone.with_name(f"{gone.name}-{number}")
                try:
                    path.mkdir(mode=0o700)
                except FileExistsError:
                    continue
                break
            try:
                self._put_back(path)
            except OSError:
                shutil.rmtree(path, ignore_errors=True)  # or the next attempt would make another beside it
                raise
            self._open(path)
            self._hold_files()

    def when_made_again(self) -> Path:
        """Return where the folder is, after a removed one was made again, which takes its owner a second."""
        end = time.monotonic() + _REMAKE_SECONDS
        while self.removed and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return self.path

    def _put_back(self, path: Path) -> None:
        for name, held in self._held.items():
            if os.path.lexists(path / name):
                continue
            try:
                content = held.read()
            except OSError:  # it went with its name, on a network disk
                continue
            write_atomically(path / name, content)

    def _hold_files(self) -> None:
        for name in _HELD if self._holding else ():
            with contextlib.suppress(OSError):  # there is none, or what is there is none of ours
                self._held[name] = _Descriptor(open_regular(self.path / name))

    def _open(self, path: Path) -> None:
        flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        self._descriptor = _Descriptor(descriptor)
        self._path = path
        self._known_target = self._target()

    def _target(self) -> str:
        """What the descriptor belongs to, as an absolute path; "" where the system cannot say."""
        descriptor = self._descriptor  # kept open until the link is read
        try:
            return str(Path(f"/proc/self/fd/{descriptor.number}").readlink())
        except OSError:
            return ""

    def _is_removed(self, target: str) -> bool:
        return target.endswith(_REMOVED) and not os.path.isdir(target)  # noqa: PTH112 - a folder may be called so

    def _move(self, target: str) -> None:
        """Note where the folder is now: as it was written before where only its name has changed."""
        moved = Path(target)
        renamed = self._path.name and self._path.parent.resolve() == moved.parent
        self._path = self._path.with_name(moved.name) if renamed else moved
        self._known_target = target


class _Descriptor:
    """A descriptor that is closed when nothing uses it any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)

    def read(self) -> bytes:
        """Return the content of a file, from its start."""
        with open(self.number, "rb", closefd=False) as file:
            file.seek(0)
            return file.read()
