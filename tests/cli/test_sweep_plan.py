"""What the words of `cifar-tui sweep` mean: the settings of each of its runs."""

import pytest

from cifar_tui.cli.parser import parse
from cifar_tui.cli.sweep import build_plan
from cifar_tui.engine.errors import ConfigError

LARGE = ("epochs", "batch_size", "val_size", "seed")
"""Settings that may be any of many numbers."""


@pytest.fixture
def plan():
    """Builds the plan of a command line."""

    def plan(*words):
        return build_plan(parse(["sweep", *words]), "mine")

    return plan


def values(plan, *names):
    return [tuple(getattr(config, name) for name in names) for config in plan.configs]


def test_all_combinations_are_trained_with_every_seed_the_seeds_fastest(plan):
    found = plan("--set", "learning_rate=0.1,0.2", "--epochs", "3,4", "--seeds", "0-1")
    assert values(found, "learning_rate", "epochs", "seed") == [
        (rate, epochs, seed) for epochs in (3, 4) for rate in (0.1, 0.2) for seed in (0, 1)
    ]
    assert found.varied == ("epochs", "learning_rate")
    assert (found.workers, found.eta) == (0, 0)


def test_what_has_one_value_is_the_same_in_all_runs(plan):
    found = plan("--preset", "quick", "--batch-size", "64", "--set", "val_size=100", "--seed", "7,9")
    assert values(found, "preset", "model", "batch_size", "val_size", "seed") == [
        ("quick", "airbench-tiny", 64, 100, seed) for seed in (7, 9)
    ]
    assert found.varied == ()


def test_presets_can_be_compared(plan):
    found = plan("--preset", "tutorial,quick", "--epochs", "5")
    assert values(found, "preset", "batch_size", "epochs") == [("tutorial", 4, 5), ("quick", 512, 5)]
    assert found.varied == ("preset",)


def test_settings_on_the_command_line_override_those_of_the_file(plan, tmp_path):
    (tmp_path / "own.toml").write_text("momentum = 0.5\nlearning_rate = 0.9\n")
    found = plan("--config", str(tmp_path / "own.toml"), "--set", "learning_rate=0.1,0.2")
    assert values(found, "momentum", "learning_rate") == [(0.5, 0.1), (0.5, 0.2)]


def test_random_combinations_are_each_trained_with_every_seed(plan):
    words = ("--random", "3", "--set", "learning_rate=1e-3..1e-1:log", "--seeds", "4,5")
    found = plan(*words)
    rates = values(found, "learning_rate", "seed")
    assert [seed for _, seed in rates] == [4, 5] * 3
    assert [rate for rate, _ in rates[::2]] == [rate for rate, _ in rates[1::2]]
    assert len(set(rates)) == 6
    assert values(plan(*words, "--sweep-seed", "0"), "learning_rate", "seed") == rates
    assert values(plan(*words, "--sweep-seed", "1"), "learning_rate", "seed") != rates


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("--random 1000000000 --set learning_rate=1e-4..1e-1", "1,000,000,000"),
        ("--random 5000 --set learning_rate=1e-4..1e-1 --seeds 0-2", "15,000"),
        (" ".join(f"--set {name}={','.join(map(str, range(1, 100)))}" for name in LARGE), "96,059,601"),
    ],
)
def test_too_many_runs_are_refused_before_they_are_made(plan, words, runs):
    with pytest.raises(ConfigError, match=f"a sweep has 1 to 10,000 runs, not {runs}: give fewer values"):
        plan(*words.split())


def test_stopping_hopeless_runs_is_by_thirds_unless_said_otherwise(plan):
    words = ("--stop-hopeless", "--set", "val_size=100")
    assert plan(*words).eta == 3
    assert plan(*words, "--eta", "4").eta == 4


def test_relative_paths_are_those_of_the_folder_the_sweep_was_started_in(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = plan("--data", r"a\,b,../c", "--workers", "5")
    assert values(found, "data") == [(str(tmp_path / "a,b"),), (str(tmp_path / "../c"),)]
    assert found.workers == 5
