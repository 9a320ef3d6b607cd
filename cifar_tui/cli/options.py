"""The commands and their options, as data. Imports nothing that takes time: `--help` answers at once.

Named tuples and not dataclasses, whose import is a fifth of the time that `--help` takes.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

Kind = Literal["", "choice", "data", "directory", "file", "preset", "run", "run or file", "setting"]
"""What a shell completes a value with; "choice": the choices of the value."""


class Completion(NamedTuple):
    """What a shell completes a value with.

    Attributes:
        kind: what to look for.
        choices: the values, for "choice".
    """

    kind: Kind = ""
    choices: tuple[str, ...] = ()


def count(text: str) -> int:
    """Parse a whole number from 1 up.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number, at least 1")
    return int(text)


def rate(text: str) -> float:
    """Parse a learning rate, whose range is checked later.

    Raises:
        argparse.ArgumentTypeError: it is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number") from None


class Option(NamedTuple):
    """An option.

    Attributes:
        flags: what the user types.
        help: one line.
        dest: its name in the parsed options.
        metavar: its value; "" for a switch.
        type: parses the value.
        repeatable: whether it may be given several times.
        completion: what a shell completes its value with.
    """

    flags: tuple[str, ...]
    help: str
    dest: str
    metavar: str = ""
    type: Callable[[str], object] = str
    repeatable: bool = False
    completion: Completion = Completion()


class Positional(NamedTuple):
    """What stands after a command without an option.

    Attributes:
        dest: its name in the parsed options.
        metavar: what the help calls it.
        usage: how the usage shows it.
        help: one line.
        nargs: "?" for at most one, "*" for any number, "+" for one or more, None for exactly one.
        completion: what a shell completes it with.
        choices: the only values; none for any.
    """

    dest: str
    metavar: str
    usage: str
    help: str
    nargs: Literal["?", "*", "+"] | None
    completion: Completion
    choices: tuple[str, ...] = ()


class Command(NamedTuple):
    """A command.

    Attributes:
        summary: one line.
        options: by the heading under which its help shows them.
        positional: what it works on.
        more: what stands after that.
        epilog: the end of its help.
    """

    summary: str
    options: Mapping[str, tuple[Option, ...]]
    positional: Positional | None = None
    more: Positional | None = None
    epilog: str = ""

    def flags(self) -> dict[str, Option]:
        """Return its options by what the user types."""
        return {flag: option for group in self.options.values() for option in group for flag in option.flags}


_RUN = "run ID or name, a unique prefix of either, or 'latest'"
_WEIGHTS = Positional(
    dest="target",
    metavar="RUN|FILE.pth",
    usage="RUN|FILE.pth",
    help=f"{_RUN}; or a file of weights (PyTorch or safetensors)",
    nargs=None,
    completion=Completion(kind="run or file"),
)
_BENCHMARKS = ("tutorial", "presets")
SHELLS = ("bash", "zsh", "fish")
"""The shells that can complete commands."""


def _value(flag: str, metavar: str, text: str, kind: Kind = "") -> Option:
    dest = flag.lstrip("-").replace("-", "_")
    return Option(flags=(flag,), help=text, metavar=metavar, dest=dest, completion=Completion(kind=kind))


def _switch(flag: str, text: str) -> Option:
    return Option(flags=(flag,), help=text, dest=flag.lstrip("-").replace("-", "_"))


_FOLDER = {
    "runs": (_value("--checkpoints", "DIR", "folder for runs (default: checkpoints)", "directory"),),
}


_DEVICE = _value("--device", "DEVICE", "auto, cpu, cuda, cuda:N or mps")._replace(
    completion=Completion(kind="choice", choices=("auto", "cpu", "cuda", "mps"))
)


def _images(data: str) -> tuple[Option, ...]:
    """Return the options for images and device; `data` says what is the default."""
    return (
        _value(
            "--data",
            "SOURCE",
            "cifar10 (auto: the same), torchvision:NAME, synthetic, a folder of images, a .csv of paths and "
            f"labels, a .npz of arrays, or cifar-10-python.tar.gz{data}",
            "data",
        ),
        _value("--data-dir", "DIR", "folder for downloads and caches", "directory"),
        _DEVICE,
    )


_ASSUME_CLASS_ORDER = _switch(
    "--assume-class-order", "take classes with other names for the same, in the same order"
)
_PRESET = _value("--preset", "NAME", "preset to start from", "preset")
_SETTINGS = (
    Option(
        flags=("--set",),
        help="any setting, such as model=resnet18; may be repeated",
        metavar="KEY=VALUE",
        dest="set",
        repeatable=True,
        completion=Completion(kind="setting"),
    ),
    _value(
        "--config",
        "FILE",
        "settings from a TOML file; they override the preset, the other options override them, and with "
        "--preset the file may name no other",
        "file",
    ),
)
_TRAINING = (
    _value("--epochs", "N", "passes over the training images"),
    _value("--batch-size", "N", "training images per step"),
    Option(flags=("--lr", "--learning-rate"), help="learning rate", metavar="X", dest="learning_rate"),
    _value("--seed", "N", "random seed"),
)
_RECIPE = {
    "settings": (_PRESET, *_TRAINING, *_SETTINGS),
    "data and device": _images(""),
}

DASHBOARD = Command(summary="open the dashboard", options=_RECIPE | _FOLDER)
"""`cifar-tui` without a command."""

COMMANDS: dict[str, Command] = {
    "train": Command(
        summary="start training, in the dashboard or headless",
        options={
            "training": (
                _value("--name", "NAME", "a name for the run, to use instead of its ID"),
                _value(
                    "--resume",
                    "RUN",
                    f"resume from the last checkpoint of a run ({_RUN}); only epochs, data, data_dir, "
                    "device, tta and the evaluation and checkpoint intervals may change",
                    "run",
                ),
                _switch("--headless", "train without the dashboard"),
                _switch("--json", "print the results as JSON (implies --headless)"),
                _switch("--detach", "train in the background; prints the run ID"),
                _ASSUME_CLASS_ORDER._replace(help=f"with --resume: {_ASSUME_CLASS_ORDER.help}"),
            ),
        }
        | _RECIPE
        | _FOLDER,
    ),
    "eval": Command(
        summary="evaluate a run's latest weights or a weights file",
        positional=_WEIGHTS,
        options={
            "evaluation": (
                _switch("--headless", "evaluate without the dashboard"),
                _switch("--json", "print the results as JSON (implies --headless)"),
                _ASSUME_CLASS_ORDER,
            ),
            "settings (default: those of the run; otherwise tutorial and any model)": (
                _PRESET,
                *_SETTINGS,
                *_images(""),
            ),
        }
        | _FOLDER,
    ),
    "predict": Command(
        summary="classify your own pictures",
        positional=_WEIGHTS,
        more=Positional(
            dest="images",
            metavar="IMAGE",
            usage="IMAGE ...",
            help="image files of any format and size, folders of them, or - to read paths from stdin, one "
            "per line or separated by NUL",
            nargs="+",
            completion=Completion(kind="file"),
        ),
        options={
            "prediction": (
                Option(
                    flags=("--top",),
                    help="classes to show for each picture (default: 3)",
                    metavar="K",
                    dest="top",
                    type=count,
                ),
                _switch("--no-pictures", "show no pictures on the terminal"),
                _switch("--json", "print one JSON object"),
            ),
            "model": (
                _value(
                    "--classes",
                    "A,B,C|DIR",
                    "names of the classes, or the dataset folder that has them, for weights that name none",
                    "directory",
                ),
                _SETTINGS[0]._replace(help="model, precision or tta, instead of the run's; may be repeated"),
                _DEVICE,
            ),
            **_FOLDER,
        },
        epilog="""\
exit codes: 0 all pictures are classified; 1 some files could not be read;
3 none could; others as for cifar-tui
""",
    ),
    "lr": Command(
        summary="find a learning rate: train while it rises, save nothing",
        options={
            "range test": (
                Option(
                    flags=("--from",),
                    help="first learning rate (default: 1e-06)",
                    metavar="X",
                    dest="low",
                    type=rate,
                ),
                Option(
                    flags=("--to",),
                    help="last learning rate (default: 10)",
                    metavar="X",
                    dest="high",
                    type=rate,
                ),
                Option(
                    flags=("--steps",),
                    help="training steps (default: 200, with small batches up to 2000)",
                    metavar="N",
                    dest="steps",
                    type=count,
                ),
                _switch("--json", "print the points and the suggestion as JSON"),
            ),
        }
        | _RECIPE,
        epilog="""\
The learning rate rises geometrically from step to step; bias_lr and head_lr
rise with it, and no schedule applies. The suggestion is the rate at which the
smoothed loss falls most steeply. The test ends early where the loss diverges.

example:
  cifar-tui lr --preset quick --set optimizer=adamw
""",
    ),
    "attach": Command(
        summary="open the dashboard for a running or finished run",
        positional=Positional(
            dest="run",
            metavar="RUN",
            usage="[RUN]",
            help=f"{_RUN} (default: the active run, else the latest)",
            nargs="?",
            completion=Completion(kind="run"),
        ),
        options=_FOLDER,
    ),
    "runs": Command(
        summary="list runs, or compare several",
        positional=Positional(
            dest="runs",
            metavar="RUN",
            usage="[RUN ...]",
            help=_RUN,
            nargs="*",
            completion=Completion(kind="run"),
        ),
        options={"output": (_switch("--json", "print JSON"),)} | _FOLDER,
    ),
    "export": Command(
        summary="export runs as CSV, HTML, SVG, TensorBoard, LaTeX",
        positional=Positional(
            dest="runs",
            metavar="RUN",
            usage="RUN [RUN ...]",
            help=_RUN,
            nargs="+",
            completion=Completion(kind="run"),
        ),
        options=_FOLDER
        | {
            "formats, at least one": (
                _value("--csv", "DIR", "points, epochs, evaluations and predictions", "directory"),
                _value(
                    "--tensorboard",
                    "DIR",
                    "event files; needs pip install 'cifar-tui[tensorboard]'",
                    "directory",
                ),
                _value("--html", "FILE", "a report on one page, with pictures of the mistakes", "file"),
                _value("--markdown", "FILE", "a report as text", "file"),
                _value("--svg", "DIR", "each chart as a vector figure", "directory"),
                _value("--latex", "FILE", "a table of the runs", "file"),
            ),
        },
        epilog="""\
Prints the files it has written, one on a line. Files of an earlier export are
replaced, others never.

example:
  cifar-tui export latest --html report.html --csv tables
""",
    ),
    "presets": Command(
        summary="list presets, or print one as a TOML file for --config",
        positional=Positional(
            dest="preset",
            metavar="NAME",
            usage="[NAME]",
            help="the preset to print",
            nargs="?",
            completion=Completion(kind="preset"),
        ),
        options={"output": (_switch("--json", "print JSON"),)},
    ),
    "bench": Command(
        summary="measure how fast this machine trains",
        positional=Positional(
            dest="benchmarks",
            metavar="NAME",
            usage="[NAME ...]",
            help=f"{' or '.join(_BENCHMARKS)} (default: both)",
            nargs="*",
            choices=_BENCHMARKS,
            completion=Completion(kind="choice", choices=_BENCHMARKS),
        ),
        options={
            "benchmarks": (
                _PRESET._replace(help="limit the benchmark 'presets' to this preset"),
                _switch("--full", "also train every preset to completion"),
                Option(
                    flags=("-n",),
                    help="training runs per preset with --full (default: 3)",
                    metavar="N",
                    dest="runs",
                    type=count,
                ),
                _switch("--json", "print JSON"),
            ),
            "data and device": _images(" (default: synthetic)"),
        },
        epilog="""\
tutorial   steps/s of the tutorial's own loop, the eager backend and the
           default backend
presets    images/s of every preset; with --full, also accuracy and time of
           full training runs

exit codes: 0 success; 1 the default backend is not 20 times as fast as the
tutorial's loop; others as for cifar-tui
""",
    ),
    "completion": Command(
        summary="print a shell completion script",
        positional=Positional(
            dest="shell",
            metavar="SHELL",
            usage="SHELL",
            help=", ".join(SHELLS),
            nargs=None,
            choices=SHELLS,
            completion=Completion(kind="choice", choices=SHELLS),
        ),
        options={},
        epilog="""\
bash   add to ~/.bashrc:  eval "$(cifar-tui completion bash)"
zsh    cifar-tui completion zsh > ~/.zfunc/_cifar-tui
       and in ~/.zshrc, before compinit:  fpath+=~/.zfunc
fish   cifar-tui completion fish > ~/.config/fish/completions/cifar-tui.fish
""",
    ),
}
"""The commands by name, in the order of the help."""
