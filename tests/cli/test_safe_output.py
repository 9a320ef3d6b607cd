"""What others wrote is literal and harmless in plain output, in Rich's tables and at its progress bar."""

import contextlib
import io
import json
import sys

import pytest
from rich.cells import cell_len
from rich.text import Text

from cifar_tui.cli import headless, main
from cifar_tui.cli.console import SafeConsole
from cifar_tui.cli.output import print_line
from cifar_tui.engine import errors
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.runs.live import LiveRun
from tests.hostile import FILE_NAMES, TEXTS, hostile_run, write_hostile_runs


def subclasses(cls):
    return [cls, *(below for child in cls.__subclasses__() for below in subclasses(child))]


@pytest.fixture(scope="module")
def hostile_runs(tmp_path_factory):
    """The checkpoints folder, with a run for each of `TEXTS`; each has a setting unknown here."""
    return write_hostile_runs(tmp_path_factory.mktemp("hostile"), unknown_every=1)


def test_a_line_is_one_line_of_what_a_strict_stream_takes():
    for text in TEXTS.values():
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        print_line(text, stream, flush=True)
        printed = stream.buffer.getvalue().decode()
        assert printed.endswith("\n")
        assert printed[:-1].isprintable()


@pytest.mark.parametrize("error", subclasses(errors.UserError))
def test_every_error_is_printed_harmlessly(monkeypatch, capsys, error):
    for text in TEXTS.values():

        def fail(_options, text=text):
            raise error(f"'{text}' is wrong")

        monkeypatch.setattr("cifar_tui.cli.presets.presets", fail)
        assert main.main(["presets"]) == error.exit_code
        assert capsys.readouterr().err.removesuffix("\n").isprintable()


@pytest.mark.parametrize("text", FILE_NAMES.values(), ids=FILE_NAMES)
def test_what_was_typed_is_repeated_harmlessly(capsys, tmp_path, text):
    commands = (
        [text],
        [f"--{text}"],
        ["runs", text, "--checkpoints", str(tmp_path)],
        ["runs", "--checkpoints", str(tmp_path / text)],
        ["train", "--epochs", f"x{text}"],
        ["train", "--set", f"{text}=1"],
        ["train", "--set", text],
        ["presets", f"x{text}"],
        ["completion", f"x{text}"],
        ["train", "--config", str(tmp_path / text)],
        ["train", "--headless", "--resume", text, "--checkpoints", str(tmp_path)],
    )
    for words in commands:
        with contextlib.suppress(SystemExit):
            main.main(words)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.endswith("\n")
        assert printed.err[:-1].isprintable(), words


@pytest.mark.parametrize("bar", [True, False])
def test_every_text_of_every_event_is_printed_harmlessly(monkeypatch, capfd, tmp_path, bar):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: bar)
    monkeypatch.setenv("COLUMNS", "100")
    for text in TEXTS.values():
        run = LiveRun(TrainConfig(), checkpoints=tmp_path)
        for event in hostile_run(text):
            run._state.apply(event)
        monkeypatch.setattr(run, "wait", lambda _seconds: True)
        headless._follow(run, headless._Terminal(), results_to_stderr=False)
        printed = capfd.readouterr()
        assert printed.out.replace("\n", "").isprintable()
        shown = Text.from_ansi(printed.err.replace("\r", "")).plain if bar else printed.err
        assert "PWNED\x07" not in printed.err
        assert all(line.isprintable() for line in shown.split("\n")), repr(shown)


@pytest.mark.parametrize("columns", [None, 60, 80, 200])
@pytest.mark.parametrize("several", [False, True])
def test_tables_of_runs_are_harmless_and_aligned(hostile_runs, monkeypatch, capsys, columns, several):
    if columns is not None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
    names = sorted(folder.name for folder in hostile_runs.iterdir())[::4] if several else []
    assert main.main(["runs", *names, "--checkpoints", str(hostile_runs)]) == 0
    lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert all(line.isprintable() for line in lines)
    if columns is None and not several:
        place = {cell_len(line[: line.index("✗ failed")]) for line in lines[1:]}
        assert len(place) == 1, "the column of the states begins at one place"


def as_any_parser_takes_it(text):
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_json_is_exact(hostile_runs, capsys):
    assert main.main(["runs", "--json", "--checkpoints", str(hostile_runs)]) == 0
    printed = capsys.readouterr().out
    assert printed.isascii()
    runs = {run["run"]: run["name"] for run in json.loads(printed)}
    for number, (kind, text) in enumerate(TEXTS.items()):
        folder, name = (as_any_parser_takes_it(own) for own in (f"{FILE_NAMES[kind]}{number}", text))
        assert runs[folder] == (name.strip()[:64] or None)


def test_rich_takes_no_text_for_a_control_code():
    for text in TEXTS.values():
        console = SafeConsole(file=io.StringIO(), width=60)
        console.print(Text(text))
        assert console.file.getvalue().replace("\n", "").isprintable()
