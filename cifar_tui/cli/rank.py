"""The processes of a run that torchrun starts: the first one trains it, the others follow."""

import os
import platform
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cifar_tui.cli.output import print_message
from cifar_tui.cli.parser import checkpoints_folder, parse
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.launch import Launch, report_failure
from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.layout import LOG_FILE
from cifar_tui.engine.text import escaped
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.disk.job import run_of_job
from cifar_tui.terminal.native_output import detach_standard_streams
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals, is_hung_up
from cifar_tui.terminal.standard_streams import STDERR

_POLL_SECONDS = 0.1


def follow_first(launch: Launch) -> int:
    """Train with the first process of a run, and return the exit code.

    Whatever all processes fail of is printed by the first one; what only this one fails of, here.
    """
    control, received, begun = RunControl(), StopSignals(), threading.Event()
    codes: list[int] = []

    def work() -> None:
        codes.append(_follow(launch, control, begun))

    def stop(number: int, _frame: FrameType | None) -> None:
        if received.receive(number) or not begun.is_set():
            os._exit(received.exit_code)
        control.request(Request.STOP)

    for number in (*STOP_SIGNALS, signal.SIGHUP):
        signal.signal(number, stop)
    # in a thread: signals are handled while the main one waits, but not within a call of torch
    thread = threading.Thread(target=work, name="cifar-tui-rank", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        if begun.is_set() and is_hung_up(STDERR):
            leave_lost_terminal(checkpoints_folder(parse(None)), launch.job)
    return (codes[0] if codes else 1) or received.exit_code


def leave_lost_terminal(checkpoints: Path, job: str) -> None:
    """If the terminal is gone, print to the log of the run in `checkpoints` that `job` trains, if found."""
    if is_hung_up(STDERR):
        with suppress(ConfigError):  # a disk that cannot be read for a moment; the next look may succeed
            run = run_of_job(checkpoints, job)
            if run is not None:
                detach_standard_streams(run / LOG_FILE)


def hide_native_warnings() -> None:
    """Have torch's native code print its errors only; call it before torch is imported.

    It warns in every job of the setting by which gradients keep their order; see `DistributedSteps`. Warnings
    of Python are none of these.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def end_process(code: int) -> NoReturn:
    """End this process, which has saved everything, with exit code `code`.

    Native threads of torch.distributed live on, and may abort an interpreter that is being finalized.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it
            stream.flush()
    os._exit(code)


def _follow(launch: Launch, control: RunControl, begun: threading.Event) -> int:
    from cifar_tui.engine.distributed.follow import follow
    from cifar_tui.engine.distributed.ranks import LostRanksError, ReportedError

    try:
        follow(launch, control, begun=begun.set)
    except ReportedError as error:
        return _failed(error, str(error), is_reported=True)
    except LostRanksError as error:
        return _failed(error, str(error))
    except UserError as error:
        return _failed(error, f"rank {launch.rank} on {platform.node()}: {error}")
    return 0


def _failed(error: UserError, sentence: str, *, is_reported: bool = False) -> int:
    if not is_reported:
        print_message(f"cifar-tui: {sentence}")
    report_failure(escaped(sentence))
    return error.exit_code
