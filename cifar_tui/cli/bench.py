"""`cifar-tui bench`: measure how fast this machine trains."""

import argparse

from cifar_tui.bench.command import run_benchmarks
from cifar_tui.bench.options import BenchOptions
from cifar_tui.cli.output import print_result


def bench(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    given = {name: getattr(options, name) for name in BenchOptions.__slots__}
    chosen = {name: value for name, value in given.items() if value is not None}
    return run_benchmarks(
        options.benchmarks, BenchOptions(**chosen), as_json=options.json, print_result=print_result
    )
