"""An app of ours beside Textual's names, and what becomes of one that fails."""

import ast
import asyncio
import functools
import importlib
import inspect
import pkgutil
import threading

import pytest
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import Static

import cifar_tui.app
from cifar_tui.app.linked import LinkedApp, LinkedScreen

MEANT = {
    ("LinkedApp", "_handle_exception"),
    ("LinkedApp", "_fatal_error"),
    ("LinkedScreen", "_compositor_refresh"),
    ("Field", "_on_key"),
    ("TextInput", "_on_key"),
    ("JobDriver", "_file"),
    ("JobDriver", "_get_terminal_size"),
    ("JobDriver", "_run_input_thread"),
    ("JobDriver", "_sigcont_application"),
    ("JobDriver", "_sigtstp_application"),
}
"""What replaces a private name of Textual on purpose."""


def classes_of_ours():
    """Every class of the dashboard that inherits from one of Textual's."""
    for module in pkgutil.walk_packages(cifar_tui.app.__path__, "cifar_tui.app."):
        for each in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(each) and each.__module__ == module.name and textual_bases(each):
                yield each


def textual_bases(cls):
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] == "textual"]


@functools.cache
def classes_in(module):
    """The source of every class of a module."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@functools.cache
def names_of(cls):
    """The private names that a class gives to its attributes and to those of its instances."""
    names = set()
    for node in ast.walk(classes_in(cls.__module__)[cls.__name__]):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                names.add(node.attr)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(node.name)
    for statement in classes_in(cls.__module__)[cls.__name__].body:
        match statement:
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def clashes(cls):
    theirs = {name for base in textual_bases(cls) for name in names_of(base)}
    return {(cls.__name__, name) for name in names_of(cls) & theirs}


def test_no_attribute_of_ours_has_the_name_of_a_private_one_of_textual():
    ours = list(classes_of_ours())
    assert len(ours) > 30
    assert set().union(*map(clashes, ours)) == MEANT


class Broken(Static):
    """A widget that breaks where it is told to."""

    def __init__(self, where):
        super().__init__("text")
        self.where = where

    def compose(self) -> ComposeResult:
        self.break_in("compose")
        yield from ()

    def on_mount(self):
        self.break_in("mount")
        self.set_timer(0.001, lambda: self.break_in("timer"))
        self.call_later(lambda: self.break_in("callback"))
        self.run_worker(lambda: self.break_in("worker"), thread=True)

    def render(self):
        self.break_in("render")
        return "text"

    def on_key(self):
        self.break_in("key")

    def on_unmount(self):
        self.break_in("unmount")

    def break_in(self, where):
        if where == self.where:
            raise ZeroDivisionError(where)


class BrokenApp(LinkedApp):
    def __init__(self, where):
        super().__init__()
        self.where = where
        self.told = []
        self.when_failed = self.told.append

    def get_default_screen(self):
        return LinkedScreen()

    async def on_mount(self):
        await self.screen.mount(Broken(self.where))
        match self.where:
            case "key":
                self.screen.query_one(Broken).post_message(Key("a", "a"))
            case "unmount":
                self.call_later(self.exit)
            case "panic":
                self.call_later(self.panic, "panic")
            case "thread":
                threading.Thread(target=self.fail, args=(ZeroDivisionError("thread"),)).start()


@pytest.mark.parametrize(
    "where",
    ["compose", "mount", "render", "timer", "callback", "worker", "key", "unmount", "panic", "thread"],
)
async def test_an_app_that_fails_anywhere_exits_says_so_once_and_prints_nothing(where, capfd):
    app = BrokenApp(where)
    try:
        async with asyncio.timeout(20):
            await app.run_async(headless=True, size=(80, 24))
    except ZeroDivisionError as error:  # in its last moments
        app.fail(error)
    (told,) = app.told
    assert app.failure is told
    assert where in str(told)
    assert capfd.readouterr() == ("", "")
