"""`cifar-tui predict`: classify the user's own pictures; results on stdout, the rest on stderr."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from cifar_tui.cli.eval import find_weights
from cifar_tui.cli.output import json_text, print_message, printing_results
from cifar_tui.cli.parser import build_settings, checkpoints_folder
from cifar_tui.engine.device.memory import FREE_MEMORY, out_of_memory_explained
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.events import LoadingProgress
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.store import is_run, read_name
from cifar_tui.terminal.process_tuning import gc_frozen
from cifar_tui.terminal.restore import say, show_cursor
from cifar_tui.terminal.signals import stop_process
from cifar_tui.terminal.standard_streams import STDOUT

if TYPE_CHECKING:
    from torch import Tensor

    from cifar_tui.cli.prediction_text import Blocks, Columns
    from cifar_tui.engine.evaluation.predict import Classifier, PredictedFiles

_FROM_STDIN = "-"
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF89a", b"GIF87a")
"""The beginning of JPEG, PNG and GIF files."""
_DEFAULT_TOP = 3
_SETTINGS = ("model", "image_size", "normalization", "precision", "tta")
"""The settings that a prediction depends on, besides the device."""
_PROGRESS_SECONDS = 10.0
_DIGITS = 6
_RESET = "\x1b[0m"

_Problem = tuple[Path, str]


def predict(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        UserError: see `_predict`.
    """
    with out_of_memory_explained("cpu", FREE_MEMORY):
        return _predict(options)


def _predict(options: argparse.Namespace) -> int:
    """Classify the images and return the exit code: that of unavailable data if some cannot be read.

    Raises:
        ConfigError: the weights, a setting or the names of the classes are wrong.
        DataUnavailableError: no image can be read.
        RunFailedError: memory ran out, the outputs are not finite, or the results cannot be written.
    """
    named = _named_settings(options)
    weights = find_weights(checkpoints_folder(options), options.target)
    run = weights.parent if is_run(weights.parent) else None
    config = build_settings(options, base=None if run is None else read_run_config(run))
    any_model = run is None and "model" not in named
    with gc_frozen():
        from cifar_tui.engine.data.gather import gather_files
        from cifar_tui.engine.data.registry import Progress
        from cifar_tui.engine.evaluation.predict import FilePredictor, load_classifier
        from cifar_tui.engine.training.loading import normalization_of

    classifier = load_classifier(
        weights,
        model=None if any_model else config.model,
        edited_model="model" in named,
        image_size=config.image_size,
        normalization=normalization_of(config),
        seed=config.seed,
        say=lambda text: _say_all([text]),
        class_names=None if options.classes is None else _class_names(options.classes),
    )
    _say_all(classifier.notes)
    with _ends_cleanly(), _ShownProgress() as progress, printing_results():
        gathered = gather_files(_named_paths(options.images), Progress(progress.show, _never))
        problems = list(gathered.problems)
        progress.hide()
        _name_skipped(problems)
        predictor = FilePredictor(
            classifier,
            config,
            top=options.top or _DEFAULT_TOP,
            say=progress.say,
            report=progress.show,
            cancelled=_never,
        )
        written = _Json(classifier) if options.json else _shown(classifier, options, len(gathered.paths))
        for batch in predictor.predict(gathered.paths):
            progress.hide()
            _name_skipped(batch.problems)
            problems += batch.problems
            written.write(batch)
        progress.hide()
        if not predictor.predicted:
            raise DataUnavailableError(_nothing_read(problems))
        _say_all(predictor.notes())
        if isinstance(written, _Json):
            written.print(_described(classifier, weights, run), problems)
    if problems:
        files = "file" if len(problems) == 1 else "files"
        print_message(f"cifar-tui: {predictor.predicted:,} classified, {len(problems):,} {files} skipped")
        return DataUnavailableError.exit_code
    return 0


def _named_settings(options: argparse.Namespace) -> set[str]:
    """Return the settings that the command line names.

    Raises:
        ConfigError: a prediction does not depend on one of them.
    """
    named = [assignment.partition("=")[0].strip() for assignment in options.set or []]
    for name in named:
        if name not in _SETTINGS:
            raise ConfigError(f"a prediction does not depend on {name!r}; --set takes {', '.join(_SETTINGS)}")
    return set(named)


def _class_names(text: str) -> tuple[str, ...]:
    """Return the class names in `text`, or those of the dataset folder that it is the path of.

    Raises:
        ConfigError: a name is empty or given twice.
        DataUnavailableError: the folder is no dataset.
    """
    from cifar_tui.engine.data.class_names import class_names_in
    from cifar_tui.engine.data.registry import user_path
    from cifar_tui.engine.data.splits import find_layout

    path = user_path(text)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return find_layout(path).class_names
    names = class_names_in([name.strip() for name in text.split(",")])
    if names is None:
        raise ConfigError(f"--classes {text!r} must be different names, separated by commas, or a folder")
    return names


def _named_paths(words: Iterable[str]) -> Iterator[Path]:
    """Yield the paths that `words` name; "-" stands for those on stdin.

    Raises:
        ConfigError: they are no paths.
    """
    for word in words:
        if word != _FROM_STDIN:
            yield Path(word)
            continue
        if sys.stdin.isatty():
            print_message("cifar-tui: reading paths, one per line; end with ctrl+d")
        listed = sys.stdin.buffer.read()
        if listed.startswith(_IMAGES):
            raise ConfigError("stdin has an image instead of paths of images: save it, and name the file")
        separator = b"\0" if b"\0" in listed else b"\n"
        yield from (Path(os.fsdecode(path)) for path in listed.split(separator) if path)


def _shown(classifier: "Classifier", options: argparse.Namespace, count: int) -> "Blocks | Columns":
    """Return what prints batches of `count` images: blocks for a terminal, columns otherwise."""
    from cifar_tui.cli.prediction_text import Blocks, Columns

    if sys.stdout.isatty():
        return Blocks(classifier.class_names, pictures=not options.no_pictures, alone=count == 1)
    return Columns(classifier.class_names)


def _described(classifier: "Classifier", weights: Path, run: Path | None) -> dict[str, Any]:
    return {
        "model": classifier.model,
        "run": None if run is None else run.absolute().name,
        "name": None if run is None else read_name(run) or None,
        "weights": str(weights),
        "class_names": list(classifier.class_names),
    }


class _Json:
    """Collects the predictions, for one JSON object with a prediction in each line."""

    def __init__(self, classifier: "Classifier") -> None:
        self._names = classifier.class_names
        self._batches: list[tuple[tuple[Path, ...], Tensor, Tensor]] = []

    def write(self, batch: "PredictedFiles") -> None:
        """Keep what will be printed, without the pictures."""
        self._batches.append((batch.paths, batch.classes, batch.confidences))

    def print(self, described: dict[str, Any], problems: list[_Problem]) -> None:
        """Print the object: what is `described`, the files skipped, and the predictions."""
        skipped = [{"path": str(path), "reason": reason} for path, reason in problems]
        print(json_text(described | {"skipped": skipped})[:-1], '"predictions": [', sep=", ")
        end = ""
        for paths, *tensors in self._batches:
            for path, *pair in zip(paths, *(tensor.tolist() for tensor in tensors), strict=True):
                top = [
                    {"class": self._names[index], "confidence": round(confidence, _DIGITS)}
                    for index, confidence in zip(*pair, strict=True)
                ]
                print(end, json_text({"path": str(path), **top[0], "top": top}), sep="", end="")
                end = ",\n"
        print("]}")


def _name_skipped(problems: Iterable[_Problem]) -> None:
    for path, reason in problems:
        print_message(f"cifar-tui: skipped '{path}': {reason}")


def _nothing_read(problems: list[_Problem]) -> str:
    if not problems:
        return "no images to classify: the folders and lists have no files"
    files = "the file" if len(problems) == 1 else f"any of the {len(problems):,} files"
    return f"cannot read {files} as an image: name image files, or folders with some"


def _say_all(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print_message(f"cifar-tui: {sentence}")


def _never() -> bool:
    return False  # signals end the process


class _ShownProgress:
    """Progress on stderr: a bar on a terminal, otherwise a line every few seconds."""

    def __enter__(self) -> Self:
        from cifar_tui.cli.progress import ProgressBar

        self._due = time.monotonic() + _PROGRESS_SECONDS
        self._stack = ExitStack()
        self._bar = self._stack.enter_context(ProgressBar("loading")) if sys.stderr.isatty() else None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, progress: LoadingProgress) -> None:
        """Show how far it is."""
        total = "" if progress.total is None else f" of {progress.total:,}"
        counted = f"{progress.done:,}{total} {progress.unit}"
        if self._bar is not None:
            self._bar.update(progress.stage, progress.done, progress.total, [counted])
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + _PROGRESS_SECONDS
            print_message(f"cifar-tui: {progress.stage}: {counted}")

    def hide(self) -> None:
        """Clear the bar, for something to be printed."""
        if self._bar is not None:
            self._bar.hide()

    def say(self, sentence: str) -> None:
        """Print a sentence for the user."""
        self.hide()
        print_message(f"cifar-tui: {sentence}")


class _Ended(BaseException):
    """A signal ends the process."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def _ends_cleanly() -> Iterator[None]:
    """Have a signal that ends the process clear the bar, and leave the terminal with cursor and colours.

    A second one ends it at once.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        restore()
        raise _Ended(number)

    def restore() -> None:
        for number, earlier in before.items():
            signal.signal(number, earlier)

    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    handlers = dict.fromkeys(ending, end) | {signal.SIGTSTP: stop_process}
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    except _Ended as ended:
        if os.isatty(STDOUT):
            say(STDOUT, _RESET, seconds=0)
        show_cursor()
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
    finally:
        restore()
