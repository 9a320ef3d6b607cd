"""A run that is steered through its control socket, and a raw client of it."""

import json
import socket
import threading
import time

from hypothesis import settings

from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import find_socket
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.event_log import EventLog

PING = b'{"do": "ping"}\n'
FUZZ = settings(deadline=None, max_examples=150)


def wait_until(condition, seconds=60):
    """Wait for `condition`, and fail when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.005)


def texts(run, kind=None):
    """The lines of the log of `run`, or those of one kind."""
    return [line.text for line in run.log_since(0) if kind in {None, line.kind}]


def log(folder, *events):
    """Append to the log as a process does that owns the run for a while."""
    event_log = EventLog(folder)
    for event in events:
        event_log.append(event)
    event_log.close()


def shorten(data):
    """An id for a test."""
    return repr(data[:16])


class Run:
    """A folder with a server that notes what it is asked, and in which thread."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.handled = []
        self.threads = set()
        self.refuse_with = None
        self.defect = None
        self.server = ControlServer(folder, self.handle, **options)

    def handle(self, request):
        self.handled.append(request)
        self.threads.add(threading.current_thread())
        if self.defect is not None:
            raise self.defect
        return self.refuse_with

    @property
    def thread(self):
        return self.server._thread

    @property
    def clients(self):
        return list(self.thread._target.__self__._clients)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        end = time.monotonic() + 10
        while True:
            try:
                connection.connect(str(find_socket(self.folder)))
            except BlockingIOError:  # so many wait to be accepted that there is no room for another
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return connection

    def is_well(self):
        """An honest client gets its answer promptly, and the thread lives."""
        send_request(self.folder, "ping", timeout=1)
        assert self.thread.is_alive()


def read_to_end(connection):
    """The lines that come until the other end hangs up."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def read_line(connection):
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(1)
        assert chunk, "hung up"
        data += chunk
    return json.loads(data)


def fill(run, connection):
    """Make requests and read no reply until some wait in the server; the number of requests."""
    run.refuse_with = "n" * 2000
    while not any(client.to_send for client in run.clients):
        handled = len(run.handled)
        connection.sendall(b'{"do": "pause"}\n')
        wait_until(lambda handled=handled: len(run.handled) > handled)
    return len(run.handled)
