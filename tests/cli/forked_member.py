"""Stands for the program of a run of a sweep: has `sweeps.MemberServer` fork it, and ends as it does."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

SIGNALS = {signal.SIGINT, signal.SIGTERM}

address, *words = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until there is a process that takes them
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect(address)
    request = json.dumps([words, dict(os.environ), str(Path.cwd())]).encode()
    socket.send_fds(connection, [request], [1])
    pid = int(connection.recv(100))
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    code = int(connection.recv(100))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
