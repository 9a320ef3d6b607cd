"""What the tests of runs share: waiting, logs, and a raw client of the control socket."""

import json
import socket
import time

from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.runs.control.protocol import socket_address
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.disk.event_log import EventLog
from cifar_tui.runs.state import RunProgress


def wait_until(condition, seconds=60):
    """Wait for `condition`, and fail if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.005)


def texts(run, kind=None):
    """The lines of the log of `run`, or those of one kind."""
    return [line.text for line in run.log_since(0) if kind in {None, line.kind}]


def log(folder, *events):
    """Append events to the log in `folder`, as the process that owns the run does."""
    event_log = EventLog(folder)
    for event in events:
        event_log.append(event)
    event_log.close()


def make_control_server(folder, handle, progress=RunProgress):
    """A control server that is not started yet."""
    return ControlServer(RunFolder(folder), handle, progress=progress)


def connect(folder):
    """A connection to the control socket of the run in `folder`."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    with socket_address(folder) as address:
        connection.connect(address)
    return connection


def read_reply(connection):
    """The reply that arrives until the server hangs up; None without one."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:  # the server did not read all that was sent
        pass
    return json.loads(data) if data else None
