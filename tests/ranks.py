"""Processes that train one run together, forked from one that has imported torch."""

import io
import multiprocessing
import os
import traceback

import torch
from torch import distributed

from tests.programs import FORKSERVER

LOST = "lost"
"""What a process returns that was killed."""

_SECONDS = 60


def run_ranks(size, work, *arguments):
    """Run `work(*arguments)` in `size` processes, set up as by torchrun; return what each returns."""
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    pipes, processes = [], []
    for rank in range(size):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RUN_ID": "test",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }
        process = FORKSERVER.Process(target=_run, args=(environment, theirs, work, arguments))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        assert all(pipe.poll(_SECONDS) for pipe in pipes), "a process does not return"
        results = [_received(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    errors = [text for failed, text in results if failed]
    assert not errors, "\n".join(errors)
    return [result for _, result in results]


def _received(pipe):
    try:
        return torch.load(io.BytesIO(pipe.recv()), weights_only=False)
    except EOFError:
        return False, LOST


def _run(environment, pipe, work, arguments):
    os.environ.update(environment)
    try:
        result = False, work(*arguments)
    except Exception:  # noqa: BLE001 - the test shows it
        result = True, traceback.format_exc()
    buffer = io.BytesIO()  # tensors in a pipe would need this process to live on
    torch.save(result, buffer)
    pipe.send(buffer.getvalue())
