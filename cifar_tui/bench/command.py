"""`cifar-tui bench`: measures what is asked for, one benchmark after the other, and prints what was found."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from cifar_tui.bench.machine import machine
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.report import Measured, print_figures, print_json, show_progress, versions
from cifar_tui.engine.errors import RunFailedError


def _tutorial(options: BenchOptions) -> Measured:
    from cifar_tui.bench.tutorial import measure_tutorial

    return measure_tutorial(options)


def _presets(options: BenchOptions) -> Measured:
    from cifar_tui.bench.presets import measure_presets

    return measure_presets(options)


def _dashboard(options: BenchOptions) -> Measured:
    from cifar_tui.bench.dashboard import measure_dashboard

    return measure_dashboard(options)


def _start(options: BenchOptions) -> Measured:
    from cifar_tui.bench.start import measure_start

    return measure_start(options)


def _runs(options: BenchOptions) -> Measured:
    from cifar_tui.bench.runs import measure_runs

    del options  # a log has neither images nor a device
    return measure_runs()


BENCHMARKS: dict[str, Callable[[BenchOptions], Measured]] = {
    "tutorial": _tutorial,
    "presets": _presets,
    "dashboard": _dashboard,
    "start": _start,
    "runs": _runs,
}
"""The benchmarks in the order in which they are run."""


def run_benchmarks(
    names: Sequence[str],
    options: BenchOptions,
    *,
    as_json: bool,
    benchmarks: dict[str, Callable[[BenchOptions], Measured]] = BENCHMARKS,
) -> int:
    """Run the benchmarks called `names`, all where none is named, and print a table for each or one object.

    Returns:
        The exit code: 0 where all limits are met, 1 where one is not.

    Raises:
        UserError: there is no such preset, it cannot be done on these images or this device, there is no room
            for what is measured, or a process that measures failed.
    """
    values: dict[str, Any] = {"machine": machine(), "versions": versions()}
    met = True
    try:
        with _signals_end_what_was_started():
            for name in names or benchmarks:
                measured = benchmarks[name](options)
                met = met and measured.met
                values[name] = measured.as_json()
                if not as_json:
                    print_figures(measured.title, measured.figures())
    except OSError as error:
        raise RunFailedError(
            f"cannot write what is to be measured: {error.strerror}; name a folder with room in TMPDIR"
        ) from error
    except KeyboardInterrupt:
        show_progress("")
        return 128 + signal.SIGINT
    if as_json:
        print_json(values)
    return 0 if met else 1


@contextlib.contextmanager
def _signals_end_what_was_started() -> Iterator[None]:
    """Have SIGTERM and SIGHUP leave by way of every `finally`: a training would outlive its terminal.

    SIGHUP is left alone where it is ignored, as under nohup.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
