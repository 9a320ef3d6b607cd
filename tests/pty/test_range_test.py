"""The range test on a real terminal: from the key to the learning rate that a run then has."""

import re
import signal
import tomllib

import pytest

SETTINGS = ("optimizer=adamw", "batch_size=24", "epochs=1", "eval_every=0")


@pytest.fixture
def open_form(open_terminal, image_folder):
    """Opens the dashboard, and the form at the learning rate."""

    def open_form(*settings, **options):
        arguments = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
        terminal = open_terminal("--data", image_folder, "--device", "cpu", *arguments, **options)
        terminal.until("1 Settings|1Set")
        terminal.press("1")
        terminal.until("←→ change")
        terminal.press(*["down"] * 5)
        terminal.until(r"\^l Find a rate")
        return terminal

    return open_form


@pytest.mark.parametrize(
    ("size", "environment"), [((80, 23), {}), ((60, 16), {"NO_COLOR": "1"})], ids=["80x23", "60x16 no colour"]
)
def test_the_suggestion_is_taken_and_trained_with(open_form, tmp_path, size, environment):
    terminal = open_form(size=size, **environment)
    terminal.press("ctrl+l")
    terminal.until("Learning-rate range test")
    suggested = terminal.until(r"enter take (\S+) · esc close")[1]
    assert "◆" in terminal.text()
    terminal.press("enter")
    terminal.until_gone("Learning-rate range test")
    terminal.until(rf"learning_rate +{re.escape(suggested)}")
    assert not (tmp_path / "checkpoints").exists()
    terminal.press("ctrl+t")
    terminal.until("✓ done")
    terminal.until_true(lambda: list(tmp_path.glob("checkpoints/*/config.toml")))
    (config,) = tmp_path.glob("checkpoints/*/config.toml")
    assert tomllib.loads(config.read_text())["learning_rate"] == float(suggested)
    terminal.press("escape", "q")
    assert terminal.wait_for_exit() == 0
    assert terminal.left_clean()


def test_a_signal_during_the_test_leaves_the_terminal_clean(open_form):
    terminal = open_form("batch_size=1", "model=airbench-tiny")
    terminal.press("ctrl+l")
    terminal.until(r"step \d+ of 2,000")
    terminal.kill(signal.SIGTERM)
    assert terminal.wait_for_exit() == 128 + signal.SIGTERM
    assert terminal.left_clean()


def test_a_cancelled_test_leaves_the_form_as_it_was_and_the_program_trains(open_form):
    terminal = open_form("batch_size=1", "model=airbench-tiny", "epochs=10000")
    terminal.press("ctrl+l")
    terminal.until(r"step \d+ of 2,000")
    terminal.press("escape")
    terminal.until_gone("Learning-rate range test")
    terminal.until(r"learning_rate +0\.001")
    terminal.press("ctrl+t")
    terminal.until("▶ training")
    terminal.press("ctrl+c")
    terminal.until("save, stop, leave")
    terminal.press("ctrl+c")
    assert terminal.wait_for_exit() == 0
