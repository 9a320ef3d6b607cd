"""The options of every command. Imports nothing that takes time: `--help` answers at once."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_tui import __version__

if TYPE_CHECKING:
    from cifar_tui.engine.config.schema import TrainConfig

_DESCRIPTION = "Train and understand CIFAR-10 image classifiers in the terminal."

_EPILOG = """\
exit codes: 0 success; 2 bad usage or configuration; 3 data not available; 4 the run failed;
128+N stopped by signal N

Without a command, the dashboard opens: configure, train (t), watch, evaluate; ? shows all keys.
"""

_BENCH_EPILOG = """\
tutorial   steps/s of the tutorial's own loop, the eager backend and the default backend
presets    images/s of every preset; with --full, also accuracy and time of full training runs

exit codes: 0 success; 1 the default backend is not 20 times as fast as the tutorial's loop;
others as for cifar-tui
"""

_BENCHMARKS = ("tutorial", "presets")
_RUN = "run ID, name, unique prefix, or latest"
_SETTINGS = ("preset", "data", "data_dir", "device", "seed", "epochs", "batch_size", "learning_rate")
"""The settings with a dedicated option."""
_SHARED = {"checkpoints", "config", "set", *_SETTINGS}
"""The options that may also stand before the command."""
_TAKEN = {
    "attach": {"checkpoints"},
    "runs": {"checkpoints"},
    "bench": {"data", "data_dir", "device", "preset"},
}
"""Those that a command takes; the commands that train or evaluate take all of them."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; exits with code 2 on bad usage."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    taken = _TAKEN.get(options.command, _SHARED)
    for name in sorted(_SHARED & vars(options).keys() - taken):
        option = "lr" if name == "learning_rate" else name.replace("_", "-")
        parser.error(f"'{options.command}' takes no --{option}")
    return options


def build_settings(options: argparse.Namespace, *, base: "TrainConfig | None" = None) -> "TrainConfig":
    """Build the settings from the command line, on top of `base` or the preset.

    Raises:
        ConfigError: a setting is unknown or its value is wrong.
    """
    from cifar_tui.engine.config.file import read_config_file
    from cifar_tui.engine.config.schema import build_config
    from cifar_tui.engine.config.text import parse_setting
    from cifar_tui.engine.errors import ConfigError

    values: dict[str, Any] = {}
    if hasattr(options, "config"):
        values |= read_config_file(Path(options.config))
    given = {name: getattr(options, name) for name in _SETTINGS if hasattr(options, name)}
    for assignment in getattr(options, "set", []):
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r} must be KEY=VALUE")
        given[name.strip()] = text
    values |= {name: parse_setting(name, text) for name, text in given.items()}
    return build_config(values, base=base)


def checkpoints_folder(options: argparse.Namespace) -> Path:
    """Return the folder that holds the runs."""
    return Path(getattr(options, "checkpoints", "checkpoints"))


def _build_parser() -> argparse.ArgumentParser:
    folder, images, training, recipe = _folder(), _images("auto"), _training(), _recipe()
    parser = argparse.ArgumentParser(
        prog="cifar-tui",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        parents=[folder, images, training, recipe],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    text = "start training, in the dashboard or headless"
    train = commands.add_parser(
        "train", parents=[folder, images, training, recipe], help=text, description=text
    )
    train.add_argument("--headless", action="store_true", help="train without the dashboard")
    train.add_argument("--json", action="store_true", help="print the results as JSON (implies --headless)")
    train.add_argument("--detach", action="store_true", help="train in the background; prints the run ID")
    train.add_argument("--name", metavar="NAME", help="what to call the run")
    train.add_argument(
        "--resume",
        metavar="RUN",
        help=f"resume from the last checkpoint of a run ({_RUN}); only epochs, data, device, tta and the "
        "evaluation and checkpoint intervals may change",
    )

    text = "evaluate a run or a weights file on the test set"
    evaluate = commands.add_parser("eval", parents=[folder, images, recipe], help=text, description=text)
    evaluate.add_argument(
        "target", metavar="RUN|FILE.pth", help="run ID, name, unique prefix, latest, or a weights file"
    )
    evaluate.add_argument("--headless", action="store_true", help="evaluate without the dashboard")
    evaluate.add_argument("--json", action="store_true", help="print the results as JSON")

    text = "open the dashboard for a running or finished run"
    attach = commands.add_parser("attach", parents=[folder], help=text, description=text)
    attach.add_argument(
        "name", metavar="RUN", nargs="?", help=f"{_RUN} (default: the active run, else the latest)"
    )

    text = "list runs, or compare several"
    runs = commands.add_parser("runs", parents=[folder], help=text, description=text)
    runs.add_argument("names", metavar="RUN", nargs="*", help=_RUN)
    runs.add_argument("--json", action="store_true", help="print JSON")

    text = "measure how fast this machine trains"
    bench = commands.add_parser(
        "bench",
        parents=[_images("synthetic")],
        help=text,
        description=text,
        epilog=_BENCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    bench.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        default=None,
        type=_benchmark,  # not choices: they would have to include the empty list
        help=f"{' or '.join(_BENCHMARKS)} (default: both)",
    )
    bench.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    bench.add_argument("--preset", metavar="NAME", help="of the presets, measure only this one")
    bench.add_argument("--full", action="store_true", help="also train every preset to completion")
    text = "training runs per preset with --full (default: 3)"
    bench.add_argument("-n", dest="runs", metavar="N", type=_count, help=text)
    return parser


def _options(title: str) -> tuple[argparse.ArgumentParser, Any]:
    """Return a parent parser and its group; an option that is not given is absent from the result."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    return parser, parser.add_argument_group(title)


def _folder() -> argparse.ArgumentParser:
    parser, group = _options("runs")
    group.add_argument("--checkpoints", metavar="DIR", help="folder for runs (default: checkpoints)")
    return parser


def _images(default: str) -> argparse.ArgumentParser:
    parser, group = _options("data and device")
    text = f"auto, cifar10, synthetic, or a folder of images (default: {default})"
    group.add_argument("--data", metavar="SOURCE", help=text)
    group.add_argument("--data-dir", metavar="DIR", help="folder for downloads and caches (default: data)")
    group.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    return parser


def _recipe() -> argparse.ArgumentParser:
    parser, group = _options("settings")
    group.add_argument("--preset", metavar="NAME", help="preset to start from (default: tutorial)")
    group.add_argument("--set", metavar="KEY=VALUE", action="append", help="other settings; may be repeated")
    group.add_argument(
        "--config",
        metavar="FILE",
        help="settings from a TOML file; they override the preset, and the other options override them",
    )
    return parser


def _training() -> argparse.ArgumentParser:
    parser, group = _options("training")
    group.add_argument("--seed", metavar="N", help="random seed (default: 0)")
    group.add_argument("--epochs", metavar="N", help="passes over the training set")
    group.add_argument("--batch-size", metavar="N", help="images per step")
    group.add_argument("--lr", metavar="X", dest="learning_rate", help="learning rate")
    return parser


def _benchmark(text: str) -> str:
    if text not in _BENCHMARKS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(_BENCHMARKS)}, not {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return int(text)
