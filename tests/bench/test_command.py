"""`cifar-tui bench`: what it runs, prints and returns."""

import json
import signal

import pytest

from cifar_tui.bench.command import BENCHMARKS, run_benchmarks
from cifar_tui.bench.options import BenchOptions, arguments_of
from cifar_tui.bench.report import Measurement, Report
from cifar_tui.cli.main import main
from cifar_tui.engine.errors import RunFailedError


def report(value):
    return Report(title="Some title", rows=(Measurement(name="row", values=(value,), at_most=1.0),))


@pytest.fixture
def bench():
    """Run the benchmarks called `names`, of which `slow` misses its limit."""
    benchmarks = {"fast": lambda _: report(0.5), "slow": lambda _: report(2.0)}
    return lambda *names, as_json=False, **options: run_benchmarks(
        names, BenchOptions(), as_json=as_json, benchmarks=benchmarks, **options
    )


def test_json_has_machine_versions_and_every_report(bench, capsys):
    assert bench(as_json=True) == 1
    values = json.loads(capsys.readouterr().out)
    assert list(values) == ["machine", "versions", "fast", "slow"]
    assert {"cifar-tui", "torch", "torchvision", "numba"} <= values["versions"].keys()
    assert {"platform", "cpus", "processor", "gpus", "cuda", "python"} <= values["machine"].keys()
    assert values["slow"]["rows"][0]["median"] == 2.0
    assert (values["fast"]["met"], values["slow"]["met"]) == (True, False)


def test_exit_code_is_1_if_a_limit_is_missed(bench, capsys):
    assert bench("fast") == 0
    assert capsys.readouterr().out.splitlines()[0] == "Some title"
    assert bench("slow") == bench("slow", "fast") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_results_that_cannot_be_written_are_not_called_runs(bench, as_json):
    def refuse(_text):
        raise RunFailedError("cannot write the results")

    with pytest.raises(RunFailedError, match=r"^cannot write the results$"):
        bench("fast", as_json=as_json, print_result=refuse)


def test_full_disk_is_one_sentence():
    def measure(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailedError, match="No space left on device; set TMPDIR"):
        run_benchmarks(["full"], BenchOptions(), as_json=True, benchmarks={"full": measure})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_what_was_started(number):
    ended = []

    def measure(_):
        try:
            signal.raise_signal(number)
        finally:
            ended.append(number)

    before = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        with pytest.raises(SystemExit, match=str(128 + number)):
            run_benchmarks(["long"], BenchOptions(), as_json=True, benchmarks={"long": measure})
        assert ended == [number]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_sighup_stays_ignored_under_nohup():
    def measure(_):
        signal.raise_signal(signal.SIGHUP)
        return report(0.5)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_benchmarks(["x"], BenchOptions(), as_json=True, benchmarks={"x": measure}) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_command_line_needs_no_name(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "cifar_tui.cli.bench.run_benchmarks", lambda names, options, **_: calls.append((names, options))
    )
    main(["bench"])
    main(["bench", "tutorial", "presets", "-n", "4"])
    assert calls == [([], BenchOptions()), (["tutorial", "presets"], BenchOptions(runs=4))]


@pytest.mark.parametrize("arguments", [["nothing"], ["-n", "0"], ["-n", "x"]], ids=" ".join)
def test_wrong_arguments_are_usage_errors(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *arguments])
    printed = capsys.readouterr().err
    assert arguments != ["nothing"] or all(name in printed for name in BENCHMARKS)


def test_unknown_preset_is_one_sentence(capsys):
    assert main(["bench", "presets", "--preset", "nothing"]) == 2
    assert "preset 'nothing' must be one of" in capsys.readouterr().err


def test_config_becomes_command_line_options():
    config = BenchOptions(device="cpu").config("tutorial", epochs=7, data_dir="d")
    assert arguments_of(config) == [
        "--preset", "tutorial",
        "--set", "data=synthetic",
        "--set", "epochs=7",
        "--set", "device=cpu",
        "--set", "data_dir=d",
    ]  # fmt: skip
