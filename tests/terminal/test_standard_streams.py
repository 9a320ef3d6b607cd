"""Standard streams that are closed, full or in a locale without Unicode, and ctrl+c before a command runs."""

import itertools
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cifar_tui.terminal.standard_streams import follow_terminal_size

CLOSED = [set(numbers) for count in range(4) for numbers in itertools.combinations((0, 1, 2), count)]

ROOT = Path(__file__).resolve().parents[2]

PREPARED = """
import os, subprocess, sys
from cifar_tui.terminal.standard_streams import prepare_standard_streams
prepare_standard_streams()
prepare_standard_streams()
opened = os.open("opened", os.O_WRONLY | os.O_CREAT)
lost = ""
try:
    print("result", flush=True)
except OSError as error:
    lost = error.strerror
print("message", file=sys.stderr)
inherited = subprocess.run([sys.executable, "-c", "import os; [os.fstat(n) for n in (0, 1, 2)]"]).returncode
sys.stdin.read()
os.write(opened, f"{opened > 2} {lost} {inherited}".encode())
os._exit(0)
"""


def run(code, *, closed=(), environment=None, arguments=()):
    def close():
        for number in closed:
            os.close(number)

    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=close,
        env=os.environ | (environment or {}),
    )


@pytest.mark.parametrize(
    ("size", "left"),
    [((40, 120), set()), ((0, 120), {"LINES"}), ((0, 0), {"COLUMNS", "LINES"}), (None, {"COLUMNS", "LINES"})],
)
def test_a_terminal_that_knows_its_size_has_that_one_and_not_what_a_shell_exports(monkeypatch, size, left):
    for name in ("COLUMNS", "LINES"):
        monkeypatch.setenv(name, "33")
    ours, its = pty.openpty() if size else os.pipe()
    if size:
        termios.tcsetwinsize(its, size)
    follow_terminal_size(its)
    assert {"COLUMNS", "LINES"} & os.environ.keys() == left
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_files_never_become_a_closed_standard_stream(closed, tmp_path):
    result = run(
        f"import os; os.chdir({str(tmp_path)!r}){PREPARED}",
        closed=closed,
        environment={"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    lost = "Bad file descriptor" if 1 in closed else ""
    assert (tmp_path / "opened").read_text() == f"True {lost} 0", "the lost result is noticed"
    assert result.stdout == ("" if 1 in closed else "result\n")
    assert result.stderr == ("" if 2 in closed else "message\n")


@pytest.mark.parametrize("number", [1, 2])
def test_a_stream_that_was_left_without_waiting_waits_again(number):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = f"""
import sys
from cifar_tui.terminal.standard_streams import prepare_standard_streams
prepare_standard_streams()
print("x" * 1_000_000, file=(sys.stdout, sys.stderr)[{number - 1}])
"""
    streams = {1: {"stdout": writer}, 2: {"stderr": writer}}[number]
    with subprocess.Popen([sys.executable, "-c", code], **streams) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            assert len(stream.read()) == 1_000_001
    assert process.returncode == 0


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
@pytest.mark.parametrize("encoding", [None, "ascii", "latin-1:strict", "utf-8"])
def test_names_are_read_as_utf_8_and_printed_as_the_locale_can(locale, encoding):
    code = (
        "import sys; from cifar_tui.terminal.standard_streams import *\n"
        "prepare_standard_streams(); read_file_names_as_utf_8()\n"
        "print(ascii(sys.argv[1])); print(sys.argv[1], '\\udcff'); print(sys.argv[1], file=sys.stderr)"
    )
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0"}
    if encoding is not None:
        environment["PYTHONIOENCODING"] = encoding
    result = subprocess.run(
        [sys.executable, "-c", code, "é 고"],
        capture_output=True,
        timeout=120,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | environment,
    )
    name, printed, _ = result.stdout.split(b"\n")
    assert name == rb"'\xe9 \uace0'"
    if encoding is None:
        encoding = "utf-8" if locale == "C.UTF-8" else "ascii"
    expected = "é 고".encode(encoding.partition(":")[0], "replace")
    assert printed == expected + b" ?"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("signal", ["runs"]),
        ("cifar_tui.terminal.standard_streams", ["runs"]),
        ("cifar_tui.engine.errors", ["--help"]),
        ("cifar_tui.cli.parser", ["train"]),
        ("argparse", ["--version"]),
        ("cifar_tui.engine.config.schema", ["train", "--headless"]),
        ("cifar_tui.cli.runs", ["runs"]),
        ("rich.console", ["runs"]),
        ("cifar_tui.cli.completion", ["completion", "bash"]),
        ("tomli_w", ["presets", "quick"]),
    ],
)
def test_ctrl_c_while_a_module_is_imported_is_no_traceback(module, arguments, tmp_path):
    code = f"""
import importlib.abc, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests are a background job
import cifar_tui.cli.main as program
sys.modules.pop({module!r}, None)
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Interrupt())
os.chdir({str(tmp_path)!r})
sys.exit(program.main())
"""
    result = run(code, arguments=arguments, environment={"PYTHONPATH": str(ROOT)})
    assert (result.stdout, result.stderr) == ("", "")
    assert result.returncode in {-2, 130}


def test_ctrl_c_stays_ignored_in_a_background_job():
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from cifar_tui.cli.main import main
try:
    main()
finally:
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
"""
    assert run(code, arguments=["--version"]).returncode == 0
