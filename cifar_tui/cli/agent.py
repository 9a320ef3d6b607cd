"""torchrun for `train --gpus`: without its tracebacks, and again only after a process was killed.

Started as `python -m cifar_tui.cli.agent RESTARTS CHECKPOINTS ARGUMENTS`, with torchrun's arguments.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from cifar_tui.cli.output import print_message
from cifar_tui.cli.rank import end_process, leave_lost_terminal
from cifar_tui.engine.distributed.launch import RESTARTS_VARIABLE, SHUTDOWN_VARIABLE
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.terminal.signals import STOP_SIGNALS

_OF_TORCHRUN = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""Signals that torchrun handles, as its documentation has them."""

_POLL_SECONDS = 0.1


def stop_on_signals() -> None:
    """Handle the signals that torchrun does not as it does SIGTERM: by default they would end it alone."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in others:
            signal.signal(number, lambda *_: None)  # not ignored: the processes would inherit that
        os.kill(os.getpid(), signal.SIGTERM)

    others = [number for number in STOP_SIGNALS if number not in _OF_TORCHRUN]
    for number in others:
        signal.signal(number, stop)


def _wait_for_processes(received: int) -> None:
    """Wait until the processes have saved, which a second signal, `received`, keeps torchrun from.

    A batch system signals them all at once, and kills those that outlive the first process of their job. But
    a second ctrl+c is of somebody who does not want to wait.
    """

    def pass_on(number: int, _frame: FrameType | None = None) -> None:
        if number == signal.SIGINT:
            for process in _children():
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.kill(process, signal.SIGTERM)

    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    pass_on(received)
    end = time.monotonic() + float(os.environ[SHUTDOWN_VARIABLE])
    with contextlib.suppress(ChildProcessError):  # there are none
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(_POLL_SECONDS)


def _children() -> list[int]:
    """The processes that torchrun has started, as far as Linux tells."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(process) for children in lists for process in children.read_text().split()]


def main() -> int:
    """Run torchrun until its processes are done, and return the exit code of the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun has handlers, after its slow import
    from torch.distributed import run

    logging.disable()  # the processes have said why they ended
    restarts, checkpoints, arguments = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    with TemporaryDirectory(prefix="cifar-tui-job-") as folder:  # torchrun would leave its own behind
        return _train(run.parse_args([f"--log-dir={folder}", *arguments]), checkpoints, restarts)


def _train(arguments: argparse.Namespace, checkpoints: Path, restarts: int) -> int:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    stop_on_signals()
    for left in range(restarts, -1, -1):
        try:
            run.run(arguments)
        except SignalException as error:
            _wait_for_processes(int(error.sigval))
            return 128 + int(error.sigval)
        except ChildFailedError as error:
            codes = {rank: int(failure.exitcode) for rank, failure in error.failures.items()}
            # torchrun ends the others with SIGTERM
            killed = {rank: -code for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM}
            leave_lost_terminal(checkpoints, arguments.rdzv_id)
            for rank, number in killed.items():
                print_message(f"cifar-tui: rank {rank} was ended by signal {number}")
            if not killed or not left:
                return max(*codes.values(), 0) or RunFailedError.exit_code
            restart = restarts - left + 1
            os.environ[RESTARTS_VARIABLE] = str(restart)
            print_message(f"cifar-tui: restarting all processes ({restart} of {restarts})")
        else:
            break
    return 0


if __name__ == "__main__":
    end_process(main())  # threads of torch's store live on
