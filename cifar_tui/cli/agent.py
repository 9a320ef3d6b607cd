"""torchrun for `train --gpus`: without its tracebacks, and again only after what a restart may mend.

Started as `python -m cifar_tui.cli.agent RESTARTS ARGUMENTS`, with torchrun's arguments.
"""

import logging
import os
import signal
import sys

from cifar_tui.cli.output import print_message
from cifar_tui.engine.distributed.launch import RESTARTS_VARIABLE
from cifar_tui.engine.errors import ConfigError, DataUnavailableError, RunFailedError

_PERMANENT = {ConfigError.exit_code, DataUnavailableError.exit_code}


def main() -> int:
    """Run torchrun until its processes are done, and return the exit code of the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun has handlers, after its slow import
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable()  # the processes have said why they ended
    restarts, arguments = int(sys.argv[1]), run.parse_args(sys.argv[2:])
    for left in range(restarts, -1, -1):
        try:
            run.run(arguments)
        except SignalException as error:
            return 128 + int(error.sigval)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            code = int(failure.exitcode)
            if code < 0:
                print_message(f"cifar-tui: rank {rank} was ended by signal {-code}")
                code = RunFailedError.exit_code
            if code in _PERMANENT or not left:
                return code
            number = restarts - left + 1
            os.environ[RESTARTS_VARIABLE] = str(number)
            print_message(f"cifar-tui: restarting all processes ({number} of {restarts})")
        else:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
