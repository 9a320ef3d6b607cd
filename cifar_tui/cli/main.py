"""The command line. torch and textual are imported only inside the commands that need them."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tui import __version__

if TYPE_CHECKING:
    from cifar_tui.engine.config.schema import TrainConfig
    from cifar_tui.terminal.supervisor import ParentLink

_DESCRIPTION = "Train and understand CIFAR-10 image classifiers in the terminal."

_EPILOG = """\
exit codes: 0 done; 2 bad usage or configuration; 3 data not available; 4 the run failed;
128+N ended by signal N after saving

Without a command, the dashboard opens: configure, train (t), watch, evaluate; ? shows all keys.
"""

_BENCH_EPILOG = """\
tutorial   the tutorial's plain loop against the engine, in steps a second
presets    images a second of every preset; with --full, accuracy and time of whole trainings
dashboard  what the screen costs a training, how soon a key shows its effect, bytes to the terminal
start      first frame, first training step, loading images
runs       the event log of a run of 10 million steps

exit codes: 0 every limit is kept; 1 one is not; else as of cifar-tui itself
"""


def main(arguments: list[str] | None = None) -> int:
    """Run `cifar-tui` and return its exit code."""
    options = _parser().parse_args(arguments)
    from cifar_tui.engine.errors import UserError

    try:
        match options.command:
            case "train":
                return _train(options)
            case "eval":
                return _evaluate(options)
            case "attach":
                return _attach(options)
            case "runs":
                from cifar_tui.cli.runs import list_command

                return list_command(_checkpoints(options), options.names, as_json=options.json)
            case "bench":
                return _bench(options)
            case _:
                return _open_dashboard(_configuration(options), options)
    except UserError as error:
        print(f"cifar-tui: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    shared = _shared_options()
    parser = argparse.ArgumentParser(
        prog="cifar-tui",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        parents=[shared],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    text = "train straight away, in the dashboard or without one"
    train = commands.add_parser("train", parents=[shared], help=text, description=text)
    train.add_argument("--headless", action="store_true", help="without the dashboard")
    train.add_argument(
        "--json", action="store_true", help="print the results as one JSON object (implies --headless)"
    )

    train.add_argument(
        "--detach", action="store_true", help="in the background; prints the run's id once it has loaded"
    )
    train.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run from its last checkpoint; only epochs and places may change",
    )

    text = "evaluate a run or a file of weights on the test images"
    evaluate = commands.add_parser("eval", parents=[shared], help=text, description=text)
    evaluate.add_argument(
        "target", metavar="RUN|FILE.pth", help="a run's id or a prefix of it, latest, or a file"
    )
    evaluate.add_argument("--headless", action="store_true", help="without the dashboard")
    evaluate.add_argument("--json", action="store_true", help="print the results as one JSON object")

    text = "open the dashboard over a run of another process, or over one that has ended"
    attach = commands.add_parser("attach", parents=[shared], help=text, description=text)
    attach.add_argument(
        "name",
        metavar="RUN",
        nargs="?",
        help="a run's id or a prefix of it (default: the live run, else the latest)",
    )

    text = "list runs; with several named, side by side"
    runs = commands.add_parser("runs", parents=[shared], help=text, description=text)
    runs.add_argument("names", metavar="RUN", nargs="*", help="a run's id, a prefix of it, or latest")
    runs.add_argument("--json", action="store_true", help="as JSON")

    text = "measure how fast this machine is, and what the program costs on it"
    bench = commands.add_parser(
        "bench",
        help=text,
        description=text,
        epilog=_BENCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    bench.add_argument(
        "names",
        metavar="WHAT",
        nargs="*",
        default=None,
        type=_benchmark,  # choices would have to allow an empty list, too
        help="tutorial, presets, dashboard, start or runs (default: all of them)",
    )
    bench.add_argument("--json", dest="as_json", action="store_true", help="as one JSON object")
    bench.add_argument("--data", metavar="SOURCE", help="as in train (default: synthetic)")
    bench.add_argument(
        "--data-dir", metavar="DIR", help="where downloads and caches are kept (default: data)"
    )
    bench.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N or mps")
    bench.add_argument("--preset", metavar="NAME", help="the only one that presets and dashboard measure")
    bench.add_argument("--full", action="store_true", help="train every preset to its end, too")
    bench.add_argument("-n", dest="runs", metavar="N", type=_count, help="so often with --full (default: 3)")
    return parser


def _benchmark(text: str) -> str:
    names = ("tutorial", "presets", "dashboard", "start", "runs")
    if text not in names:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, not {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text)


def _shared_options() -> argparse.ArgumentParser:
    """The options that the dashboard and every command take. None is in the result unless it was given."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = options.add_argument_group("settings of the run")
    group.add_argument("--preset", metavar="NAME", help="the recipe to start from (default: tutorial)")
    group.add_argument(
        "--data", metavar="SOURCE", help="auto (default), cifar10, synthetic, or a folder of images"
    )
    group.add_argument(
        "--data-dir", metavar="DIR", help="where downloads and caches are kept (default: data)"
    )
    group.add_argument("--checkpoints", metavar="DIR", help="where runs are kept (default: checkpoints)")
    group.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N or mps")
    group.add_argument("--seed", metavar="N", help="of everything random (default: 0)")
    group.add_argument("--epochs", metavar="N", help="passes over the training images")
    group.add_argument("--batch-size", metavar="N", help="training images to a step")
    group.add_argument("--lr", metavar="X", dest="learning_rate", help="learning rate")
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", help="any other setting; may be repeated"
    )
    group.add_argument(
        "--config", metavar="FILE", help="settings from a TOML file; the options above go first"
    )
    return options


_SETTING_OPTIONS = ("preset", "data", "data_dir", "device", "seed", "epochs", "batch_size", "learning_rate")


def _configuration(options: argparse.Namespace, *, base: "TrainConfig | None" = None) -> "TrainConfig":
    """The settings that the command line asks for, on top of `base` or the preset.

    Raises:
        ConfigError: one of them is wrong.
    """
    from cifar_tui.engine.config.schema import build_config, parse_setting, read_config_file
    from cifar_tui.engine.errors import ConfigError

    values: dict[str, Any] = {}
    if hasattr(options, "config"):
        values |= read_config_file(Path(options.config))
    given = {name: getattr(options, name) for name in _SETTING_OPTIONS if hasattr(options, name)}
    for assignment in getattr(options, "set", []):
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r} must be KEY=VALUE")
        given[name.strip()] = text
    values |= {name: parse_setting(name, text) for name, text in given.items()}
    return build_config(values, base=base)


def _checkpoints(options: argparse.Namespace) -> Path:
    return Path(getattr(options, "checkpoints", "checkpoints"))


def _train(options: argparse.Namespace) -> int:
    from cifar_tui.engine.errors import ConfigError

    checkpoints = _checkpoints(options)
    resume: Path | None = None
    if options.resume is None:
        config = _configuration(options)
    else:
        from cifar_tui.engine.config.schema import build_config, read_config_file
        from cifar_tui.engine.layout import CONFIG_FILE
        from cifar_tui.runs.disk.store import find_run
        from cifar_tui.runs.resume import config_to_resume

        resume = find_run(checkpoints, options.resume)
        own = build_config(read_config_file(resume / CONFIG_FILE))
        config = config_to_resume(resume, _configuration(options, base=own))
    if options.detach:
        if options.json:
            raise ConfigError("--json waits for results and --detach does not: leave one of them out")
        from cifar_tui.terminal.supervisor import run_in_child

        def work(shell: "ParentLink") -> int:
            from cifar_tui.cli.headless import train_headless

            return train_headless(config, checkpoints=checkpoints, as_json=False, resume=resume, shell=shell)

        return run_in_child(work, reads_terminal=False)
    if options.headless or options.json:
        from cifar_tui.cli.headless import train_headless

        return train_headless(config, checkpoints=checkpoints, as_json=options.json, resume=resume)
    return _open_dashboard(config, options, start=resume is None, resume=resume)


def _attach(options: argparse.Namespace) -> int:
    from cifar_tui.runs.disk.store import find_run, find_run_to_attach

    checkpoints = _checkpoints(options)
    folder = find_run_to_attach(checkpoints) if options.name is None else find_run(checkpoints, options.name)
    return _open_dashboard(_configuration(options), options, attach=folder)


def _evaluate(options: argparse.Namespace) -> int:
    from cifar_tui.engine.config.schema import build_config, read_config_file
    from cifar_tui.engine.layout import CONFIG_FILE, WEIGHTS_FILE
    from cifar_tui.runs.disk.store import find_run

    weights, base = Path(options.target), None
    if not weights.is_file() and weights.suffix not in {".pth", ".pt"}:
        folder = find_run(_checkpoints(options), options.target)
        weights = folder / WEIGHTS_FILE
        base = build_config(read_config_file(folder / CONFIG_FILE))
    config = _configuration(options, base=base)
    if options.headless or options.json or not _has_terminal():
        from cifar_tui.cli.headless import evaluate_headless

        return evaluate_headless(config, weights, checkpoints=_checkpoints(options), as_json=options.json)
    return _open_dashboard(config, options, weights=weights)


def _bench(options: argparse.Namespace) -> int:
    from cifar_tui.bench.command import run_benchmarks
    from cifar_tui.bench.options import BenchOptions

    chosen = {name: value for name, value in vars(options).items() if name in BenchOptions.__slots__}
    return run_benchmarks(options.names, BenchOptions(**chosen), as_json=getattr(options, "as_json", False))


def _open_dashboard(
    config: "TrainConfig",
    options: argparse.Namespace,
    *,
    start: bool = False,
    weights: Path | None = None,
    resume: Path | None = None,
    attach: Path | None = None,
) -> int:
    from cifar_tui.engine.errors import ConfigError

    if not _has_terminal():
        raise ConfigError(
            "the dashboard needs a terminal and there is none here; use: cifar-tui train --headless"
        )
    from cifar_tui.terminal.supervisor import run_in_child

    def work(shell: "ParentLink") -> int:
        from cifar_tui.terminal.collector import gc_frozen

        with gc_frozen():  # else a twentieth of the time to the first frame goes there
            from cifar_tui.app.run import run_dashboard

        return run_dashboard(
            config,
            shell=shell,
            checkpoints=_checkpoints(options),
            start=start,
            weights=weights,
            resume=resume,
            attach=attach,
        )

    return run_in_child(work)


def _has_terminal() -> bool:
    """Whether the dashboard can read keys from standard input and draw: Textual draws on standard error."""
    capable = os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}
    return capable and all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
