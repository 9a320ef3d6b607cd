"""`cifar-tui presets`: the presets as a table, as JSON and as files of settings."""

import json

import pytest

from cifar_tui.engine.config.file import read_config_file
from cifar_tui.engine.config.presets import PRESET_SUMMARIES, PRESETS
from cifar_tui.engine.config.schema import build_config, preset_config
from tests.cli.command import assert_one_sentence


def test_the_table_has_the_figures_and_the_explanation_of_every_preset(cli):
    result = cli.run("presets")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split("  ")[0] == "preset"
    assert lines[3].split() == ["quick", "airbench-tiny", "4", "512", "muon", "0.12"]
    assert [line.split()[0] for line in lines[1::2]] == list(PRESETS)
    assert [line.strip() for line in lines[2::2]] == list(PRESET_SUMMARIES.values())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_printed_as_a_file_of_settings_that_gives_the_preset(cli, preset):
    result = cli.run("presets", preset)
    (cli.cwd / "recipe.toml").write_text(result.stdout)
    values = read_config_file(cli.cwd / "recipe.toml")
    assert values == {"preset": preset, **PRESETS[preset]}
    assert build_config(values) == preset_config(preset)


def test_json_has_every_setting_of_a_recipe(cli):
    listed = json.loads(cli.run("presets", "--json").stdout)
    assert [entry["preset"] for entry in listed] == list(PRESETS)
    assert (listed[0]["settings"]["learning_rate"], listed[0]["settings"]["bias_lr"]) == (0.001, None)
    assert json.loads(cli.run("presets", "max", "--json").stdout) == listed[-1]


def test_an_unknown_preset_is_one_sentence(cli):
    assert_one_sentence(cli.run("presets", "quik"), 2, "no preset 'quik'; did you mean 'quick'?")
    assert_one_sentence(cli.run("presets", "xyz"), 2, "no preset 'xyz'; the presets are tutorial, quick")
