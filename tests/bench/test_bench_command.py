"""`cifar-tui bench`: what it runs, prints and returns."""

import json
import signal

import pytest

from cifar_tui.bench import command
from cifar_tui.bench.command import BENCHMARKS, run_benchmarks
from cifar_tui.bench.options import BenchOptions, arguments_of
from cifar_tui.bench.report import Figure, spread
from cifar_tui.cli.main import main
from cifar_tui.engine.errors import RunFailedError


class Found:
    """What a benchmark found that takes no time."""

    title = "Nothing much"

    def __init__(self, value):
        self._figure = Figure(quantity="nothing", spread=spread([value]), at_most=1.0)

    @property
    def met(self):
        return self._figure.met

    def figures(self):
        return [self._figure]

    def as_json(self):
        return {"nothing": self._figure.spread.median, "met": self.met}


@pytest.fixture
def bench():
    """Runs the benchmarks called `names`, of which `slow` does not meet its limit."""
    benchmarks = {"fast": lambda _: Found(0.5), "slow": lambda _: Found(2.0)}
    return lambda *names, as_json=False: run_benchmarks(
        names, BenchOptions(), as_json=as_json, benchmarks=benchmarks
    )


def test_all_are_run_where_none_is_named(bench, capsys):
    assert bench(as_json=True) == 1
    values = json.loads(capsys.readouterr().out)
    assert list(values) == ["machine", "versions", "fast", "slow"]
    assert {"cifar-tui", "torch", "torchvision", "textual"} <= values["versions"].keys()
    assert {"platform", "cpus", "processor", "avx512_bf16", "gpus", "cuda", "python"} <= values[
        "machine"
    ].keys()


def test_the_exit_code_says_whether_every_limit_is_kept(bench, capsys):
    assert bench("fast") == 0
    assert capsys.readouterr().out.splitlines()[0] == "Nothing much"
    assert bench("slow") == bench("slow", "fast") == 1


def test_no_room_is_one_sentence():
    def measure(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailedError, match="cannot write what is to be measured: No space left"):
        run_benchmarks(["full"], BenchOptions(), as_json=True, benchmarks={"full": measure})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_was_started(number):
    ended = []

    def measure(_):
        try:
            signal.raise_signal(number)
        finally:
            ended.append(number)

    with pytest.raises(SystemExit, match=str(128 + number)):
        run_benchmarks(["long"], BenchOptions(), as_json=True, benchmarks={"long": measure})
    assert ended == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_nohup_is_left_alone():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        code = run_benchmarks(["long"], BenchOptions(), as_json=True, benchmarks={"long": hang_up})
    finally:
        signal.signal(signal.SIGHUP, before)
    assert code == 0


def hang_up(_):
    signal.raise_signal(signal.SIGHUP)
    return Found(0.5)


def test_the_command_line_needs_no_name(monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_benchmarks", lambda names, options, **_: asked.append((names, options)))
    main(["bench"])
    main(["bench", "tutorial", "start", "-n", "4"])
    assert asked == [([], BenchOptions()), (["tutorial", "start"], BenchOptions(runs=4))]


@pytest.mark.parametrize("count", ["x", "0", "-1", "1.5"])
def test_how_often_is_a_whole_number(capsys, count):
    with pytest.raises(SystemExit):
        main(["bench", "-n", count])
    assert "must be a whole number from 1" in capsys.readouterr().err


def test_every_benchmark_can_be_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "nothing"])
    said = capsys.readouterr().err
    assert all(name in said for name in BENCHMARKS)


@pytest.mark.parametrize("what", ["presets", "dashboard"])
def test_a_wrong_preset_is_one_sentence(what, capsys):
    assert main(["bench", what, "--preset", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("cifar-tui: preset 'nothing' must be one of")


def test_a_number_of_runs_is_at_least_one():
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "presets", "--full", "-n", "0"])


def test_settings_are_handed_on_as_options():
    config = BenchOptions(device="cpu").config("tutorial", epochs=7, data_dir="d")
    assert arguments_of(config) == [
        "--preset", "tutorial",
        "--set", "data=synthetic",
        "--set", "data_dir=d",
        "--set", "device=cpu",
        "--set", "epochs=7",
    ]  # fmt: skip
