"""`OwnNet`: a net that a class or a function in the user's file makes."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from cifar_tui.engine.config.fields import suggestion
from cifar_tui.engine.device.random_state import seed_everything
from cifar_tui.engine.errors import ConfigError, RunFailedError, UserError
from cifar_tui.engine.layout import MODEL_FILE
from cifar_tui.engine.models.own.failure import (
    advice_on,
    described,
    is_of_program,
    is_of_user,
    line_of,
    shown,
)
from cifar_tui.engine.models.own.isolation import isolated, settings_kept, streams_taken
from cifar_tui.engine.models.own.kept import KeptSources, source_hash, write_kept
from cifar_tui.engine.models.own.modules import OwnModules
from cifar_tui.engine.models.own.name import OwnName, own_name, short_model
from cifar_tui.engine.models.own.sources import FolderSources, SourceFile, Sources, read_source
from cifar_tui.engine.models.source import ModelSource

_CPU = torch.device("cpu")
_MOST_PRINTED = 20
_LONGEST_PRINTED = 400
_LINE_END = re.compile("[\r\n]+")  # a progress bar has only the first
_PASSED = ("num_classes", "image_size")


class OwnNet(ModelSource):
    """The class or function `name` of the modules from `sources`, loaded.

    Args:
        model: the setting that names it.
        sources: where its modules come from.
        seed: for random numbers that are drawn while the modules load.
        say: takes a line for the log.

    Attributes:
        kept: whether its source is the one that a run has kept.

    Raises:
        ConfigError: it cannot be loaded; the sentence names the user's line.
    """

    is_tried = True

    def __init__(
        self, model: str, name: str, sources: Sources, *, seed: int, say: Callable[[str], object]
    ) -> None:
        super().__init__(model)
        self.kept = isinstance(sources, KeptSources)
        self._name = name
        self._sources = sources
        self._main = sources.main
        self._printed = _Printed(short_model(model), say)
        self._modules = OwnModules(sources, self._printed.write)
        with self.running(ConfigError), isolated(self._printed.write, _CPU):
            seed_everything(seed)
            module = self._modules.load()
        self._factory = self._find(vars(module))

    @property
    def files(self) -> list[SourceFile]:
        """The modules that it is made of so far, or that a run has kept, the file that has it first."""
        if isinstance(self._sources, KeptSources):
            return self._sources.files
        rest = [file for file in self._modules.files.values() if file is not self._main]
        return [self._main, *{file.path: file for file in rest}.values()]

    @property
    def hash(self) -> str:
        """The SHA-256 of its source."""
        return source_hash(self.files)

    def keep(self, folder: Path) -> None:
        """Keep its source in the folder of a run, unless it comes from there.

        Raises:
            OSError: it cannot be written.
        """
        if not self.kept:
            write_kept(folder / MODEL_FILE, self.files)

    def build(self, *, num_classes: int, image_size: int) -> nn.Module:
        """Build a freshly initialized net on the CPU; draws from the global generators what it draws.

        Args:
            num_classes: passed on if it has such a parameter.
            image_size: height and width of the images in pixels; likewise.

        Raises:
            ConfigError: it fails, or is no net with parameters to train; the sentence names the user's line.
        """
        sizes = self._arguments({"num_classes": num_classes, "image_size": image_size})
        with self.running(ConfigError), self.isolated():
            net = self._factory(**sizes)
        if not isinstance(net, nn.Module):
            kind = type(net).__name__
            self.refuse(f"{self._name} makes a value of type {kind}, not an nn.Module; return the net")
        if any(nn.parameter.is_lazy(tensor) for tensor in (*net.parameters(), *net.buffers())):
            with self.running(ConfigError, net), self.isolated(), torch.no_grad():  # draws their values
                net.eval()(torch.zeros(2, 3, image_size, image_size))
        if not any(parameter.requires_grad for parameter in net.parameters()):
            if any(True for _ in net.parameters()):
                self.refuse(f"all parameters of {self._name} are frozen; leave some with requires_grad")
            self.refuse(f"{self._name} has no parameters to train; give it a layer with weights")
        extra = next((name for name, value in net.state_dict().items() if not isinstance(value, Tensor)), "")
        if extra:
            self.refuse(f"{extra} in the state_dict of {self._name} is no tensor; register it as a buffer")
        return net.train()

    def refuse(self, reason: str, net: nn.Module | None = None) -> NoReturn:
        """Raise a ConfigError with `reason` and the line of the forward of `net`, or of the definition."""
        raise ConfigError(f"{self._place(net)}: {reason}", field="model")

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Run a block that calls the net, whose settings of torch and the process do not stay."""
        with isolated(self._printed.write):
            yield

    @contextmanager
    def called(self, net: nn.Module | None = None) -> Iterator[None]:
        """Run a block that calls `net` among other things: the log takes what it prints.

        Raises:
            RunFailedError: it raised something; the sentence names the user's line.
        """
        with (
            self.running(RunFailedError, net, among_others=True),
            settings_kept(),
            streams_taken(self._printed.write),
        ):
            yield

    @contextmanager
    def running(
        self,
        kind: type[UserError],
        net: nn.Module | None = None,
        *,
        doing: str = "",
        among_others: bool = False,
    ) -> Iterator[None]:
        """Turn what the user's code raises in a block into an error of `kind`, which names the user's line.

        Args:
            kind: of the error.
            net: whose forward is named where no line of theirs is.
            doing: what the block does, for the sentence.
            among_others: whether the block does more than to run the user's code.
        """
        try:
            yield
        except BaseException as error:
            if not is_of_user(error):
                raise
            place = line_of(error, {file.origin for file in self._modules.files.values()})
            if place is None and among_others and is_of_program(error):
                raise
            where = self._place(net) if place is None else shown(*place)
            what = f"{described(error)} ({doing})" if doing else described(error)
            raise kind(f"{where}: {what}; {advice_on(error)}") from error

    def _find(self, found: dict[str, Any]) -> Callable[..., object]:
        if self._name not in found:
            names = [
                name
                for name, value in found.items()
                if not name.startswith("_") and getattr(value, "__module__", None) == found["__name__"]
            ]
            hint = suggestion(self._name, names) or (f"; it has {', '.join(names)}" if names else "")
            self.refuse(f"there is no {self._name!r} in the file{hint}")
        factory = found[self._name]
        if isinstance(factory, nn.Module):
            self.refuse(f"{self._name} is a net already; name its class, or a function that returns it")
        if not callable(factory):
            kind = type(factory).__name__
            self.refuse(f"{self._name} is of type {kind}; name a class, or a function that returns a net")
        made: Callable[..., object] = factory
        return made

    def _arguments(self, sizes: dict[str, int]) -> dict[str, int]:
        """Those of `sizes` that the class or function has parameters for."""
        try:
            parameters = inspect.signature(self._factory).parameters.values()
        except (TypeError, ValueError):  # one in C
            return {}
        for parameter in parameters:
            positional = parameter.kind is parameter.POSITIONAL_ONLY
            if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                continue
            if parameter.default is parameter.empty and (positional or parameter.name not in _PASSED):
                self.refuse(
                    f"{self._name} needs the argument {parameter.name!r}; give it a default: only "
                    f"{' and '.join(_PASSED)} are passed"
                )
        named = {
            parameter.name for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY
        }
        return {name: value for name, value in sizes.items() if name in named}

    def _place(self, net: nn.Module | None) -> str:
        code = getattr(getattr(type(net), "forward", None), "__code__", None)
        if code is not None and code.co_filename in {file.origin for file in self._modules.files.values()}:
            return shown(code.co_filename, code.co_firstlineno)
        return shown(self._main.origin, _line_of_name(self._main.content, self._name))


class _Printed:
    """Takes what a net prints to the log, up to a number of lines."""

    def __init__(self, label: str, say: Callable[[str], object]) -> None:
        self._label = label
        self._say = say
        self._begun = ""
        self._lines = 0

    def write(self, text: str) -> None:
        if self._lines > _MOST_PRINTED:
            return
        *lines, begun = _LINE_END.split(self._begun + text)
        self._begun = begun[: _LONGEST_PRINTED + 1]
        for line in filter(str.strip, lines):
            self._lines += 1
            if self._lines > _MOST_PRINTED:
                self._say(f"{self._label} prints more than {_MOST_PRINTED} lines: the rest is left out")
                return
            self._say(f"{self._label} prints: {_start(line)}")


def _start(line: str) -> str:
    return line if len(line) <= _LONGEST_PRINTED else line[: _LONGEST_PRINTED - 1] + "…"


def load_own_net(
    model: str, *, kept_in: Path | None, seed: int, say: Callable[[str], object]
) -> tuple[OwnNet, list[str]]:
    """Load the net that the setting `model` names, which is one in a file.

    Args:
        model: the setting.
        kept_in: the folder whose kept source is taken, if it has one; None to take the user's file.
        seed: for random numbers that are drawn while the modules load.
        say: takes a line for the log.

    Returns:
        The net, and what is different from the user's file now, in sentences.

    Raises:
        ConfigError: it cannot be loaded.
    """
    own = own_name(model)
    if own is None:
        raise AssertionError(f"{model} names no net in a file")
    try:
        kept = None if kept_in is None else KeptSources(kept_in / MODEL_FILE)
    except FileNotFoundError:
        kept = None
    if kept is not None:
        net = OwnNet(model, own.name, kept, seed=seed, say=say)
        return net, _changes(own, kept, model)
    try:
        sources = FolderSources(own.file)
    except OSError as error:
        raise ConfigError(
            f"cannot read the model's file '{own.file}': {error.strerror}; set model to FILE.py:NAME",
            field="model",
        ) from None
    return OwnNet(model, own.name, sources, seed=seed, say=say), []


def _changes(own: OwnName, kept: KeptSources, model: str) -> list[str]:
    """Say which of the user's files are not as they were kept."""
    changed = []
    for file in kept.files:
        path = own.file.parent / (own.file.name if file is kept.main else file.path)
        try:
            if read_source(path) != file.content:
                changed.append(str(path))
        except OSError:  # gone, or on another machine; the run does not need it
            continue
    if not changed:
        return []
    text = f"{shown(changed[0], None)} has changed since the training: using the source kept with the run"
    return [f"{text}; to use the file as it is now, add --set model={shown_model(model)}"]


def shown_model(model: str) -> str:
    """Return the setting `model` as it is shortest to type in the working folder."""
    own = own_name(model)
    return model if own is None else f"{shown(str(own.file), None)[1:-1]}:{own.name}"


def _line_of_name(source: bytes, name: str) -> int | None:
    """Return the line that defines `name`; None without one."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    for statement in reversed(body):
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        if getattr(statement, "name", None) == name or (isinstance(statement, ast.Assign) and name in names):
            return statement.lineno
    return None
