"""Import the modules of a user's net, apart from all other modules.

They are in `sys.modules` under a name of their own, so that several versions can be used at a time, a module
of theirs hides none of the program's, and `sys.path` stays as it is. Their `import` finds those beside them,
and their `print` and `input` leave the terminal alone.
"""

import builtins
import importlib
import itertools
import sys
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source
from types import CodeType, ModuleType
from typing import Any

from cifar_tui.engine.models.own.sources import SourceFile, Sources, main_name

_PREFIX = "cifar_tui_own_"
_NOBODY = "nobody can answer while a net trains"


class OwnModules:
    """The modules that a user's net is made of.

    Args:
        sources: where they come from.
        say: takes the text that they print.

    Attributes:
        files: those imported so far, by name.
    """

    def __init__(self, sources: Sources, say: Callable[[str], object]) -> None:
        self.files: dict[str, SourceFile] = {}
        self._sources = sources
        self._say = say
        self._missing: set[str] = set()
        self._main = main_name(sources.main)
        self._prefix = f"{_PREFIX}{next(_NUMBERS)}"
        self.builtins = vars(builtins) | {
            "__import__": self._import,
            "print": self._print,
            "input": _no_input,
            "breakpoint": _no_input,
        }
        parent = ModuleType(self._prefix)
        parent.__path__ = []
        sys.modules[self._prefix] = parent
        _FINDER.loaded[self._prefix] = self

    def load(self) -> ModuleType:
        """Import the file that has the net; raises what it raises."""
        return importlib.import_module(f"{self._prefix}.{self._main}")

    def find(self, name: str) -> SourceFile | None:
        """Find the module `name` of the user's; None if it is none of theirs."""
        if name not in self.files and name not in self._missing:
            found = self._sources.main if name == self._main else self._sources.find(name)
            if found is None:
                self._missing.add(name)
            else:
                self.files[name] = found
        return self.files.get(name)

    def _import(
        self,
        name: str,
        globals: dict[str, object] | None = None,  # noqa: A002 - as Python calls it
        locals: dict[str, object] | None = None,  # noqa: A002 - as Python calls it
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level == 0 and self.find(top) is not None:
            name = f"{self._prefix}.{name}"
            importlib.import_module(name)
            if not fromlist:
                return sys.modules[f"{self._prefix}.{top}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _print(self, *values: object, sep: str | None = " ", end: str | None = "\n", **options: Any) -> None:
        if options.get("file") in {None, sys.stdout, sys.stderr}:
            between, last = (" " if sep is None else sep), ("\n" if end is None else end)
            self._say(between.join(map(str, values)) + last)
        else:
            print(*values, sep=sep, end=end, **options)


class _Finder(MetaPathFinder):
    """Finds the modules of all `OwnModules`.

    Attributes:
        loaded: by the first part of their names.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, OwnModules] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        prefix, _, name = fullname.partition(".")
        modules = self.loaded.get(prefix)
        file = modules.find(name) if modules is not None and name else None
        if modules is None or file is None:
            return None
        loader = _Loader(modules, file)
        spec = ModuleSpec(fullname, loader, origin=file.origin, is_package=file.is_package)
        spec.has_location = True
        return spec


class _Loader(InspectLoader):
    """Runs the content of a file that was read once, without leaving compiled files beside it."""

    def __init__(self, modules: OwnModules, file: SourceFile) -> None:
        self._modules = modules
        self._file = file

    def is_package(self, fullname: str) -> bool:
        del fullname
        return self._file.is_package

    def get_source(self, fullname: str) -> str:
        del fullname
        return decode_source(self._file.content)

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        code: CodeType = compile(self._file.content, self._file.origin, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._modules.builtins
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102 - the user's own code, to be run


def is_own_type(kind: type) -> bool:
    """Whether a module of a user's defines the class `kind`."""
    return kind.__module__.startswith(_PREFIX)


def _no_input(*_: object, **__: object) -> str:
    raise EOFError(_NOBODY)


_NUMBERS = itertools.count(1)
_FINDER = _Finder()
sys.meta_path.append(_FINDER)
