"""`cifar-tui bench`: run benchmarks one after the other and print their reports."""

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from cifar_tui.bench.machine import describe_machine
from cifar_tui.bench.options import BenchOptions
from cifar_tui.bench.presets import measure_presets
from cifar_tui.bench.report import Report, show_progress, versions
from cifar_tui.bench.tutorial import measure_tutorial
from cifar_tui.engine.errors import RunFailedError

BENCHMARKS: dict[str, Callable[[BenchOptions], Report]] = {
    "tutorial": measure_tutorial,
    "presets": measure_presets,
}
"""The benchmarks, in the order in which they run."""


def run_benchmarks(
    names: Sequence[str],
    options: BenchOptions,
    *,
    as_json: bool,
    print_result: Callable[[str], None] = print,
    benchmarks: Mapping[str, Callable[[BenchOptions], Report]] = BENCHMARKS,
) -> int:
    """Run the benchmarks called `names`, or all; print a table of each, or one JSON object.

    Returns:
        The exit code: 0 if all limits are met, 1 if one is missed.

    Raises:
        UserError: there is no such preset, the images or the device are not available, the disk is full, or a
            run failed.
    """
    values: dict[str, Any] = {"machine": describe_machine(), "versions": versions()}
    met = True
    try:
        with _signals_raise():
            for name in names or benchmarks:
                report = benchmarks[name](options)
                met = met and report.met
                values[name] = report.to_dict()
                if not as_json:
                    print_result(report.to_text(terminal=sys.stdout.isatty()))
    except OSError as error:
        raise RunFailedError(
            f"cannot write the benchmark runs: {error.strerror}; set TMPDIR to a folder with free space"
        ) from error
    except KeyboardInterrupt:
        show_progress("")
        return 128 + signal.SIGINT
    if as_json:
        print_result(json.dumps(values, indent=2, allow_nan=False))
    return 0 if met else 1


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Have SIGINT, SIGTERM and SIGHUP raise exceptions, so that every `finally` ends the runs it started.

    SIGINT and SIGHUP are left alone if they are ignored, as under nohup.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
