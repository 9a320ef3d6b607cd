"""The processes of a run that torchrun starts: the first one trains it, the others follow."""

import os
import platform
import signal
import threading
from types import FrameType

from cifar_tui.cli.output import print_message
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.errors import UserError
from cifar_tui.runs.control.protocol import Request
from cifar_tui.terminal.signals import STOP_SIGNALS, StopSignals

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
    return (codes[0] if codes else 1) or received.exit_code


def _follow(launch: Launch, control: RunControl, begun: threading.Event) -> int:
    from cifar_tui.engine.distributed.follow import follow
    from cifar_tui.engine.distributed.ranks import LostRanksError, ReportedError

    try:
        follow(launch, control, begun=begun.set)
    except ReportedError as error:
        return error.exit_code
    except LostRanksError as error:
        print_message(f"cifar-tui: {error}")
        return error.exit_code
    except UserError as error:
        print_message(f"cifar-tui: rank {launch.rank} on {platform.node()}: {error}")
        return error.exit_code
    return 0
