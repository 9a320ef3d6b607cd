"""`cifar-tui bench`: measure how fast this machine trains."""

import argparse

from cifar_tui.bench.command import run_benchmarks
from cifar_tui.bench.options import BenchOptions


def bench(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    chosen = {name: value for name, value in vars(options).items() if name in BenchOptions.__slots__}
    return run_benchmarks(options.names, BenchOptions(**chosen), as_json=getattr(options, "as_json", False))
