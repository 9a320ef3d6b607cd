"""The commands and their options. Imports nothing that takes time: `--help` answers at once."""

from cifar_tui.cli.option import Command, Completion, Option, Positional, count, counted, rate, switch, value

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


_FOLDER = {
    "runs": (value("--checkpoints", "DIR", "folder for runs (default: checkpoints)", "directory"),),
}


_DEVICE = value("--device", "DEVICE", "auto, cpu, cuda, cuda:N or mps")._replace(
    completion=Completion(kind="choice", choices=("auto", "cpu", "cuda", "mps"))
)


def _images(data: str) -> tuple[Option, ...]:
    """Return the options for images and device; `data` says what is the default."""
    return (
        value(
            "--data",
            "SOURCE",
            "cifar10 (auto: the same), torchvision:NAME, synthetic, a folder of images, a .csv of paths and "
            f"labels, a .npz of arrays, or cifar-10-python.tar.gz{data}",
            "data",
        ),
        value("--data-dir", "DIR", "folder for downloads and caches", "directory"),
        _DEVICE,
    )


_ASSUME_CLASS_ORDER = switch(
    "--assume-class-order", "take classes with other names for the same, in the same order"
)
_PRESET = value("--preset", "NAME", "preset to start from", "preset")
_SETTINGS = (
    Option(
        flags=("--set",),
        help="any setting, such as model=resnet18; may be repeated",
        metavar="KEY=VALUE",
        dest="set",
        repeatable=True,
        completion=Completion(kind="setting"),
    ),
    value(
        "--config",
        "FILE",
        "settings from a TOML file; they override the preset, the other options override them, and with "
        "--preset the file may name no other",
        "file",
    ),
)
_TRAINING = (
    value("--epochs", "N", "passes over the training images"),
    value("--batch-size", "N", "training images per step"),
    Option(flags=("--lr", "--learning-rate"), help="learning rate", metavar="X", dest="learning_rate"),
    value("--seed", "N", "random seed"),
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
                value(
                    "--name",
                    "NAME",
                    "a name for the run, to use instead of its ID; the same command again, with --headless, "
                    "resumes it after an interruption",
                ),
                value(
                    "--resume",
                    "RUN",
                    f"resume from the last checkpoint of a run ({_RUN}); only epochs, data, data_dir, "
                    "device, tta and the evaluation and checkpoint intervals may change",
                    "run",
                ),
                switch("--headless", "train without the dashboard"),
                switch("--json", "print the results as JSON (implies --headless)"),
                switch("--detach", "train in the background; prints the run ID"),
                counted(
                    "--gpus",
                    "N",
                    "train on N GPUs of this machine, or in N processes on its CPU, with torchrun; "
                    "batch_size is that of all together",
                ),
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
                switch("--headless", "evaluate without the dashboard"),
                switch("--json", "print the results as JSON (implies --headless)"),
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
                counted("--top", "K", "classes to show for each picture (default: 3)"),
                switch("--no-pictures", "show no pictures on the terminal"),
                switch("--json", "print one JSON object"),
            ),
            "model": (
                value(
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
                    help="training steps (default: 200 to 2000, more with smaller batches)",
                    metavar="N",
                    dest="steps",
                    type=count,
                ),
                switch("--json", "print the points and the suggestion as JSON"),
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
        options={"output": (switch("--json", "print JSON"),)} | _FOLDER,
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
                value("--csv", "DIR", "points, epochs, evaluations and predictions", "directory"),
                value(
                    "--tensorboard",
                    "DIR",
                    "event files; needs pip install 'cifar-tui[tensorboard]'",
                    "directory",
                ),
                value("--html", "FILE", "a report on one page, with pictures of the mistakes", "file"),
                value("--markdown", "FILE", "a report as text", "file"),
                value("--svg", "DIR", "each chart as a vector figure", "directory"),
                value("--latex", "FILE", "a table of the runs", "file"),
            ),
        },
        epilog="""\
Prints the files it has written, one on a line. Files of an earlier export are
replaced, others never.

example:
  cifar-tui export latest --html report.html --csv tables
""",
    ),
    "sweep": Command(
        summary="train many runs, over settings and seeds",
        options={
            "sweep": (
                value("--seeds", "N-N", "seeds to train each combination with, such as 0-4 or 0,3,7"),
                Option(
                    flags=("--random",),
                    help="draw N combinations: --set learning_rate=1e-4..1e-1:log draws from a range, "
                    "--set optimizer=sgd,adamw from values",
                    metavar="N",
                    dest="random",
                    type=count,
                ),
                value("--sweep-seed", "N", "seed of what --random draws (default: 0)"),
                value("--name", "NAME", "a name; the same command again resumes it (default: sweep-1, …)"),
                counted(
                    "--workers",
                    "K",
                    "runs at a time (default: one a GPU, or one); on a CPU they divide its cores",
                ),
                switch(
                    "--stop-hopeless",
                    "stop runs early whose validation accuracy is not among the best (ASHA); needs val_size",
                ),
                Option(
                    flags=("--eta",),
                    help="with --stop-hopeless: after epochs 1, N, N², … about one run in N continues "
                    "(default: 3)",
                    metavar="N",
                    dest="eta",
                    type=count,
                ),
                value(
                    "--resume",
                    "SWEEP",
                    "continue a sweep: runs that are done stay, interrupted ones resume from their last "
                    "checkpoint",
                    "sweep",
                ),
                switch("--retry-failed", "with --resume: start failed runs again"),
                value("--show", "SWEEP", "print the table of a sweep as it is now", "sweep"),
                value("--stop", "SWEEP", "save and stop the runs of a sweep in the background", "sweep"),
                value(
                    "--ray",
                    "ADDRESS",
                    "run on Ray: local, auto for the running cluster, or HOST:PORT (default: RAY_ADDRESS if "
                    "that is set); needs pip install 'cifar-tui[sweep]'",
                ),
                switch("--detach", "work in the background; prints the name of the sweep"),
                switch("--json", "print the results as JSON"),
            ),
        }
        | _RECIPE
        | _FOLDER,
        epilog="""\
Every setting may have several values, separated by commas: the sweep trains
all combinations. A comma that belongs to a value is written as \\,

Each run is an ordinary one, called SWEEP-NUMBER. q leaves a sweep running,
ctrl+c saves and stops its runs; --resume continues after anything.

examples:
  cifar-tui sweep --preset quick --set learning_rate=0.06,0.12 --seeds 0-4
  cifar-tui sweep --random 20 --set learning_rate=1e-4..1e-1:log \\
      --set val_size=5000 --epochs 9 --stop-hopeless --name rates
  cifar-tui sweep --resume rates

exit codes: 0 all runs have ended; 4 some failed, which are named; others as
for cifar-tui
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
        options={"output": (switch("--json", "print JSON"),)},
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
                switch("--full", "also train every preset to completion"),
                Option(
                    flags=("-n",),
                    help="training runs per preset with --full (default: 3)",
                    metavar="N",
                    dest="runs",
                    type=count,
                ),
                switch("--json", "print JSON"),
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
