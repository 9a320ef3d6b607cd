"""The rules of the house: imports, types and style."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=["style", "format", "types"],
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
        ("cifar_tui.runs.live", {"textual", "rich", "plotext", "torch", "cifar_tui.app"}),
        (
            "cifar_tui.app.app",
            {"torch", "torchvision", "plotext", "numpy", "cifar_tui.runs.disk.run_writer"}
            | {"cifar_tui.app.views.runs"}
            | {f"cifar_tui.app.dialogs.{name}" for name in ("comparison", "dialogs", "help")},
        ),
    ],
)
def test_a_fresh_interpreter_imports_no_more_than_a_module_needs(module, absent):
    code = f"import sys, {module}; print(*sorted({absent!r} & set(sys.modules)))"
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
