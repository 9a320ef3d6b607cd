"""The rules of the house: imports, types, style and where things are."""

import ast
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from cifar_tui.engine.models.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ruff", "check", "."), id="style"),
        pytest.param(("ruff", "format", "--check", "."), id="format"),
        pytest.param(("mypy",), id="types", marks=pytest.mark.first),
    ],
)
def test_the_code_is_clean(arguments):
    result = run(sys.executable, "-m", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr


def test_imports_run_from_the_app_to_the_engine():
    result = run(str(Path(sys.executable).parent / "lint-imports"))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("cifar_tui", {"torch", "textual", "rich", "plotext", "numpy"}),
        ("cifar_tui.cli.main", {"torch", "textual", "rich", "plotext", "numpy"}),
        (
            "cifar_tui.engine.session",
            {"numba", "textual", "rich", "plotext", "cifar_tui.runs", "cifar_tui.app"},
        ),
        ("cifar_tui.cli.export", {"torch", "textual", "plotext", "numpy", "tensorboard", "PIL"}),
        ("cifar_tui.runs.live", {"textual", "rich", "plotext", "torch", "cifar_tui.app"}),
        (
            "cifar_tui.app.app",
            {"torch", "torchvision", "plotext", "numpy", "cifar_tui.runs.disk.run_writer"}
            | {f"cifar_tui.app.views.{name}" for name in ("runs", "compare")}
            | {f"cifar_tui.app.dialogs.{name}" for name in ("dialogs", "help")},
        ),
    ],
)
def test_a_fresh_interpreter_imports_no_more_than_a_module_needs(module, absent):
    code = f"import sys, {module}; print(*sorted({absent!r} & set(sys.modules)))"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "performance").glob("*.py")), ids=lambda path: path.stem
)
def test_what_is_only_run_on_demand_can_be_imported(path):
    importlib.import_module(f"tests.performance.{path.stem}")


def test_no_imports_go_in_circles():
    graph = grimp.build_graph("cifar_tui", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    list(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError


def test_files_are_short_and_the_engine_is_in_folders():
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "cifar_tui").rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > 400} == {}
    assert len(list((ROOT / "cifar_tui" / "engine").glob("*.py"))) <= 8


def test_only_the_models_and_the_presets_know_a_models_name():
    at_home = {ROOT / "cifar_tui" / "engine" / name for name in ("models", "config/presets.py")}
    for path in (ROOT / "cifar_tui").rglob("*.py"):
        if at_home.isdisjoint({path, *path.parents}):
            strings = {
                node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
            }
            assert strings.isdisjoint(MODELS), path
