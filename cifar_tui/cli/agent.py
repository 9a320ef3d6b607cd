"""torchrun for `train --gpus`: without its tracebacks, and again only after a process was killed.

Started as `python -m cifar_tui.cli.agent RESTARTS CHECKPOINTS ARGUMENTS`, with torchrun's arguments.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from cifar_tui.cli.output import print_message
from cifar_tui.cli.rank import end_process, leave_lost_terminal
from cifar_tui.engine.distributed.launch import RESTARTS_VARIABLE
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals


def main() -> int:
    """Run torchrun until its processes are done, and return the exit code of the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun has handlers, after its slow import
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException

    logging.disable()  # the processes have said why they ended
    restarts, checkpoints, arguments = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    with TemporaryDirectory(prefix="cifar-tui-job-") as folder:  # torchrun would leave its own behind
        # torchrun would wait once more for its processes after a second signal
        own = [f"--log-dir={folder}", f"--signals-to-handle={signal.SIGHUP.name}"]
        try:
            _stop_on_signals(folder)
            return _train(run.parse_args([*own, *arguments]), checkpoints, restarts)
        except SignalException as error:
            return 128 + int(error.sigval)


def _stop_on_signals(folder: str) -> None:
    """Have the processes save on `STOP_SIGNALS`; on a second one kill them, remove `folder` and exit."""
    from torch.distributed.elastic.multiprocessing.api import SignalException

    received = StopSignals()

    def stop(number: int, _frame: FrameType | None) -> None:
        is_first = not received.first
        if received.receive(number):
            for process in _children():  # one that hangs may answer no other signal
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(received.exit_code)
        if is_first:
            passed = signal.Signals.SIGINT if number == signal.SIGINT else signal.Signals.SIGTERM
            raise SignalException(f"received {number}", passed)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def _children() -> Iterator[int]:
    """The processes that this one has started, as far as Linux tells."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            if int(file.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                yield int(file.parent.name)


def _train(arguments: argparse.Namespace, checkpoints: Path, restarts: int) -> int:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    for left in range(restarts, -1, -1):
        try:
            run.run(arguments)
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
