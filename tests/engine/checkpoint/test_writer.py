"""Checkpoints are written in the background: the latest wins, training never waits, failures are reported."""

import itertools
import threading

import pytest

from cifar_tui.engine.checkpoint import writer as writer_module
from cifar_tui.engine.checkpoint.files import Checkpoint, write_checkpoint
from cifar_tui.engine.checkpoint.writer import CheckpointWriter
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError

pytestmark = pytest.mark.timeout(60)


def checkpoint(step, *, best=None):
    content = f"{step}".encode()
    return Checkpoint(state=content, weights=content, best=best, step=step, reason="requested")


class Disk:
    """A slow disk: `begun` grows with each write, and `let_go` lets writes finish.

    Attributes:
        fails: the error for each step whose checkpoint cannot be written.
    """

    def __init__(self):
        self.begun = []
        self.fails = {}
        self._changed = threading.Condition()
        self._allowed = 0

    def write(self, folder, checkpoint):
        with self._changed:
            self.begun.append(checkpoint.step)
            number = len(self.begun)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._allowed >= number, 30), "no call of let_go"
        if checkpoint.step in self.fails:
            raise self.fails[checkpoint.step]
        write_checkpoint(folder, checkpoint)

    def wait_for_write(self, number):
        """Wait until write `number` has begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= number, 30), "no write began"

    def let_go(self, writes=1):
        with self._changed:
            self._allowed += writes
            self._changed.notify_all()


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    monkeypatch.setattr(writer_module, "write_checkpoint", disk.write)
    yield disk
    disk.let_go(1000)


class Callbacks:
    """What the callbacks of a writer received, and in which threads."""

    def __init__(self):
        self.lines = []
        self.threads = set()

    def written(self, checkpoint):
        self.lines.append(checkpoint.step)
        self.threads.add(threading.current_thread())

    def failed(self, error):
        self.lines.append(str(error))
        self.threads.add(threading.current_thread())


@pytest.fixture
def received():
    return Callbacks()


@pytest.fixture
def writer(tmp_path, received):
    writer = CheckpointWriter(RunFolder(tmp_path), on_written=received.written, on_failed=received.failed)
    yield writer
    in_time(writer.drain)


def in_time(work):
    """Return whether `work` returns within five seconds."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def on_disk(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_checkpoint_is_on_disk_after_waiting(writer, received, tmp_path):
    writer.submit(checkpoint(7))
    writer.wait()
    assert on_disk(tmp_path) == {"last.pt": b"7", "cifar_net.pth": b"7"}
    assert received.lines == [7]
    assert threading.current_thread() not in received.threads


def test_submitting_returns_while_the_disk_is_slow(writer, disk, received):
    for step in range(5):
        assert in_time(lambda step=step: writer.submit(checkpoint(step)))
    disk.wait_for_write(1)
    assert received.lines == []


def test_the_latest_wins_while_one_is_being_written(writer, disk, received, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    for step in (2, 3, 4):
        writer.submit(checkpoint(step))
    disk.let_go(2)
    writer.wait()
    assert disk.begun == [1, 4]
    assert received.lines == [1, 4]
    assert on_disk(tmp_path)["last.pt"] == b"4"


def test_one_checkpoint_at_a_time_is_written(writer, disk, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2))
    assert disk.begun == [1]
    disk.let_go()
    disk.wait_for_write(2)
    assert on_disk(tmp_path)["last.pt"] == b"1"
    disk.let_go()
    writer.wait()
    assert on_disk(tmp_path)["last.pt"] == b"2"


@pytest.mark.parametrize("method", ["wait", "drain"])
def test_waiting_lasts_until_the_latest_is_written(writer, disk, method):
    returned = threading.Event()

    def wait():
        getattr(writer, method)()
        returned.set()

    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2))
    thread = threading.Thread(target=wait)
    thread.start()
    disk.let_go()
    disk.wait_for_write(2)
    assert not returned.is_set()
    disk.let_go()
    assert returned.wait(30)
    thread.join()


def test_waiting_without_a_checkpoint_returns(writer, received):
    writer.wait()
    writer.drain()
    assert received.lines == []


def test_a_failure_is_reported_and_raised_until_a_later_write_succeeds(writer, disk, received, tmp_path):
    disk.fails[1] = RunFailedError("the disk is full")
    disk.let_go(2)
    writer.submit(checkpoint(1))
    with pytest.raises(RunFailedError, match="the disk is full"):
        writer.wait()
    with pytest.raises(RunFailedError, match="the disk is full"):
        writer.wait()
    writer.drain()
    assert on_disk(tmp_path) == {}
    writer.submit(checkpoint(2))
    writer.wait()
    assert received.lines == ["the disk is full", 2]
    assert on_disk(tmp_path)["last.pt"] == b"2"


def test_a_failure_after_a_success_is_raised(writer, disk, received):
    disk.fails[2] = RunFailedError("the disk is full")
    disk.let_go(2)
    writer.submit(checkpoint(1))
    writer.wait()
    writer.submit(checkpoint(2))
    with pytest.raises(RunFailedError):
        writer.wait()
    assert received.lines == [1, "the disk is full"]


def test_after_a_failure_a_newer_checkpoint_is_written(writer, disk, received):
    disk.fails[1] = RunFailedError("the disk is full")
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2))
    disk.let_go(2)
    writer.wait()
    assert received.lines == ["the disk is full", 2]


def test_a_missing_folder_is_one_sentence(tmp_path, received):
    folder = tmp_path / "gone"
    folder.mkdir()
    writer = CheckpointWriter(RunFolder(folder), on_written=received.written, on_failed=received.failed)
    folder.rmdir()
    writer.submit(checkpoint(1))
    with pytest.raises(RunFailedError, match=r"cannot save .*last\.pt': No such file or directory"):
        writer.wait()
    assert len(received.lines) == 1


def test_waiting_returns_after_an_unexpected_error(writer, disk, received):
    disk.fails[1] = MemoryError("out of memory")
    disk.let_go(2)
    writer.submit(checkpoint(1))
    assert in_time(writer.drain)
    with pytest.raises(RunFailedError, match="out of memory"):
        writer.wait()
    writer.submit(checkpoint(2))
    writer.wait()
    assert received.lines[-1] == 2


def test_best_weights_of_a_dropped_checkpoint_are_written_with_the_next(writer, disk, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2, best=b"best of 2"))
    writer.submit(checkpoint(3))
    disk.let_go(2)
    writer.wait()
    assert disk.begun == [1, 3]
    assert on_disk(tmp_path) == {"last.pt": b"3", "cifar_net.pth": b"3", "best.pt": b"best of 2"}


def test_best_weights_that_could_not_be_written_are_written_with_the_next(writer, disk, tmp_path):
    disk.fails[1] = RunFailedError("the disk is full")
    disk.let_go(3)
    writer.submit(checkpoint(1, best=b"best of 1"))
    writer.drain()
    writer.submit(checkpoint(2))
    writer.wait()
    assert on_disk(tmp_path)["best.pt"] == b"best of 1"
    (tmp_path / "best.pt").unlink()
    writer.submit(checkpoint(3))
    writer.wait()
    assert not (tmp_path / "best.pt").exists(), "it is written once"


def test_newer_best_weights_win_over_waiting_ones(writer, disk, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2, best=b"best of 2"))
    writer.submit(checkpoint(3, best=b"best of 3"))
    disk.let_go(2)
    writer.wait()
    assert on_disk(tmp_path)["best.pt"] == b"best of 3"


def test_every_awaited_checkpoint_is_written(writer, received):
    for step in range(20):
        writer.submit(checkpoint(step))
        writer.wait()
    assert received.lines == list(range(20))


def test_submitting_from_several_threads_ends_with_the_latest_on_disk(writer, received, tmp_path):
    steps = itertools.count()

    def submit_many():
        for _ in range(20):
            writer.submit(checkpoint(next(steps)))

    threads = [threading.Thread(target=submit_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.wait()
    assert on_disk(tmp_path)["last.pt"] == f"{received.lines[-1]}".encode()
    assert on_disk(tmp_path).keys() == {"last.pt", "cifar_net.pth"}
    assert len(received.lines) == len(set(received.lines)) <= 80


def test_a_checkpoint_is_written_even_where_there_is_no_memory_for_another_thread(tmp_path, monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    callbacks = Callbacks()
    writer = CheckpointWriter(RunFolder(tmp_path), on_written=callbacks.written, on_failed=callbacks.failed)
    for step in (1, 2):
        writer.submit(checkpoint(step))
        writer.wait()
    assert callbacks.lines == [1, 2]
    assert (tmp_path / "last.pt").read_bytes() == b"2"
