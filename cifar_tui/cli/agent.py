"""torchrun for `train --gpus`: without its tracebacks, and again only after a process was killed.

Started as `python -m cifar_tui.cli.agent RESTARTS ARGUMENTS`, with torchrun's arguments.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from types import FrameType

from cifar_tui.cli.output import print_message
from cifar_tui.engine.distributed.launch import RESTARTS_VARIABLE
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.terminal.signals import STOP_SIGNALS

_OF_TORCHRUN = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""Signals that torchrun handles, as its documentation has them."""

_SAVING_SECONDS = 30.0
"""As long as torchrun gives them."""

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


def _wait_for_processes() -> None:
    """Wait until the processes have saved, which a second signal keeps torchrun from.

    A batch system signals them all at once, and kills those that outlive the first process of their job.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    end = time.monotonic() + _SAVING_SECONDS
    with contextlib.suppress(ChildProcessError):  # there are none
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(_POLL_SECONDS)


def main() -> int:
    """Run torchrun until its processes are done, and return the exit code of the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun has handlers, after its slow import
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    stop_on_signals()
    logging.disable()  # the processes have said why they ended
    restarts, arguments = int(sys.argv[1]), run.parse_args(sys.argv[2:])
    for left in range(restarts, -1, -1):
        try:
            run.run(arguments)
        except SignalException as error:
            _wait_for_processes()
            return 128 + int(error.sigval)
        except ChildFailedError as error:
            codes = {rank: int(failure.exitcode) for rank, failure in error.failures.items()}
            # torchrun ends the others with SIGTERM
            killed = {rank: -code for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM}
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
    sys.exit(main())
