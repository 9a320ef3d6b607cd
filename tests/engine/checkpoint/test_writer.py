"""Checkpoints are written meanwhile: the newest wins, training never waits, and failures are told."""

import itertools
import threading

import pytest

from cifar_tui.engine.checkpoint import writer as writer_module
from cifar_tui.engine.checkpoint.files import Checkpoint, write_checkpoint
from cifar_tui.engine.checkpoint.writer import CheckpointWriter
from cifar_tui.engine.errors import RunFailedError

pytestmark = pytest.mark.timeout(60)


def checkpoint(step, *, best=None):
    content = f"{step}".encode()
    return Checkpoint(state=content, weights=content, best=best, step=step, epoch=1, reason="asked for")


class Disk:
    """A disk that takes its time: `begun` grows with each write, and `let_go` lets one come to its end.

    Attributes:
        fails: the steps whose checkpoints it refuses.
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
            assert self._changed.wait_for(lambda: self._allowed >= number, 30), "nobody let it go on"
        if checkpoint.step in self.fails:
            raise self.fails[checkpoint.step]
        write_checkpoint(folder, checkpoint)

    def wait_for_write(self, number):
        """Wait until the `number`th write has begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= number, 30), "it is not written"

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


class Told:
    """What the callbacks of a writer were told, and in which threads."""

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
def told():
    return Told()


@pytest.fixture
def writer(tmp_path, told):
    writer = CheckpointWriter(tmp_path, on_written=told.written, on_failed=told.failed)
    yield writer
    in_time(writer.drain)


def in_time(work):
    """Whether `work` returns within some seconds."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def on_disk(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_given_is_on_the_disk_when_the_waiting_is_over(writer, told, tmp_path):
    writer.submit(checkpoint(7))
    writer.wait()
    assert on_disk(tmp_path) == {"last.pt": b"7", "cifar_net.pth": b"7"}
    assert told.lines == [7]
    assert threading.current_thread() not in told.threads


def test_giving_one_returns_while_the_disk_takes_its_time(writer, disk, told):
    for step in range(5):
        assert in_time(lambda step=step: writer.submit(checkpoint(step)))
    disk.wait_for_write(1)
    assert told.lines == []


def test_the_newest_wins_while_one_is_being_written(writer, disk, told, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    for step in (2, 3, 4):
        writer.submit(checkpoint(step))
    disk.let_go(2)
    writer.wait()
    assert disk.begun == [1, 4]
    assert told.lines == [1, 4]
    assert on_disk(tmp_path)["last.pt"] == b"4"


def test_one_at_a_time_is_written(writer, disk, tmp_path):
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
def test_waiting_lasts_until_the_newest_is_written(writer, disk, method):
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


def test_where_nothing_was_given_nothing_is_waited_for(writer, told):
    writer.wait()
    writer.drain()
    assert told.lines == []


def test_a_failure_is_told_and_raised_to_who_waits_until_a_later_one_succeeds(writer, disk, told, tmp_path):
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
    assert told.lines == ["the disk is full", 2]
    assert on_disk(tmp_path)["last.pt"] == b"2"


def test_a_failure_after_a_success_is_raised(writer, disk, told):
    disk.fails[2] = RunFailedError("the disk is full")
    disk.let_go(2)
    writer.submit(checkpoint(1))
    writer.wait()
    writer.submit(checkpoint(2))
    with pytest.raises(RunFailedError):
        writer.wait()
    assert told.lines == [1, "the disk is full"]


def test_the_failure_of_one_does_not_keep_a_newer_one_from_being_written(writer, disk, told):
    disk.fails[1] = RunFailedError("the disk is full")
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2))
    disk.let_go(2)
    writer.wait()
    assert told.lines == ["the disk is full", 2]


def test_a_folder_that_is_gone_is_a_failure_in_a_sentence(tmp_path, told):
    writer = CheckpointWriter(tmp_path / "gone", on_written=told.written, on_failed=told.failed)
    writer.submit(checkpoint(1))
    with pytest.raises(RunFailedError, match=r"cannot save .*last\.pt: No such file or directory"):
        writer.wait()
    assert len(told.lines) == 1


def test_who_waits_is_not_left_waiting_by_a_defect_of_the_writer(writer, disk, told):
    disk.fails[1] = MemoryError("out of memory")
    disk.let_go(2)
    writer.submit(checkpoint(1))
    assert in_time(writer.drain)
    with pytest.raises(RunFailedError, match="out of memory"):
        writer.wait()
    writer.submit(checkpoint(2))
    writer.wait()
    assert told.lines[-1] == 2


def test_the_best_weights_of_one_that_is_passed_over_are_written_with_the_next(writer, disk, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2, best=b"best of 2"))
    writer.submit(checkpoint(3))
    disk.let_go(2)
    writer.wait()
    assert disk.begun == [1, 3]
    assert on_disk(tmp_path) == {"last.pt": b"3", "cifar_net.pth": b"3", "best.pt": b"best of 2"}


def test_the_best_weights_that_could_not_be_written_are_written_with_the_next(writer, disk, tmp_path):
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


def test_newer_best_weights_win_over_older_ones_that_wait(writer, disk, tmp_path):
    writer.submit(checkpoint(1))
    disk.wait_for_write(1)
    writer.submit(checkpoint(2, best=b"best of 2"))
    writer.submit(checkpoint(3, best=b"best of 3"))
    disk.let_go(2)
    writer.wait()
    assert on_disk(tmp_path)["best.pt"] == b"best of 3"


def test_every_one_that_is_waited_for_is_written(writer, told):
    for step in range(100):
        writer.submit(checkpoint(step))
        writer.wait()
    assert told.lines == list(range(100))


def test_many_given_at_once_from_several_threads_end_with_the_disk_at_rest(writer, told, tmp_path):
    steps = itertools.count()

    def give():
        for _ in range(50):
            writer.submit(checkpoint(next(steps)))

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.wait()
    assert on_disk(tmp_path)["last.pt"] == f"{told.lines[-1]}".encode()
    assert on_disk(tmp_path).keys() == {"last.pt", "cifar_net.pth"}
    assert len(told.lines) == len(set(told.lines)) <= 200
