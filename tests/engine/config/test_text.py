"""Settings as text: what a user may write, what a wrong value says, and the words for special values."""

import pytest

from cifar_tui.engine.config.schema import PRESETS, SETTINGS, preset_config
from cifar_tui.engine.config.text import parse_setting, setting_text
from cifar_tui.engine.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("batch_size", "0", "from 1"),
        ("batch_size", "four", "must be a whole number"),
        ("batch_size", "4.5", "must be a whole number"),
        ("epochs", "-1", "from 1"),
        ("learning_rate", "-0.1", "above 0"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "1e9", "above 0 and at most 100"),
        ("learning_rate", "nan", "above 0"),
        ("learning_rate", "fast", "must be a number"),
        ("learning_rate", "", "must be a number"),
        ("bias_lr", "0", "above 0"),
        ("head_lr", "same", "must be a number or 'same as learning_rate'"),
        ("momentum", "1", "at least 0 and below 1"),
        ("weight_decay", "inf", "from 0 to 10"),
        ("device", "gpu", "must be auto, cpu, cuda, cuda:N or mps"),
        ("device", "cuda:x", "must be auto, cpu, cuda, cuda:N or mps"),
        ("device", "cuda:01", "with an N such as 0 or 1"),
        ("device", "cuda:99999999999", "with an N such as 0 or 1"),
        ("device", "cuda:-1", "with an N such as 0 or 1"),
        ("device", "cuda:", "with an N such as 0 or 1"),
        ("model", "nett", "did you mean 'net'"),
        ("preset", "tutorials", "did you mean 'tutorial'"),
        ("data", "  ", "must not be empty"),
        ("optimizer", "adam", "did you mean 'adamw'"),
        ("warmup_fraction", "1", "below 1"),
        ("cutout", "513", "from 0 to 512"),
        ("channels_last", "maybe", "must be yes or no"),
        ("seed", "-1", "from 0"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_it(name, text, says):
    with pytest.raises(ConfigError) as caught:
        parse_setting(name, text)
    assert caught.value.field == name
    assert name in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("True", True), ("on", True), ("1", True), ("No", False), ("0", False)]
)
def test_a_switch_is_on_or_off_in_many_words(text, value):
    assert parse_setting("channels_last", text) is value


@pytest.mark.parametrize("preset", PRESETS)
def test_every_setting_can_be_written_and_read_back_as_text(preset):
    config = preset_config(preset)
    for name in SETTINGS:
        value = getattr(config, name)
        assert parse_setting(name, setting_text(name, value)) == value


@pytest.mark.parametrize("field", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_describes_itself_and_accepts_its_default_and_its_choices(field):
    assert field.metadata["description"]
    assert field.metadata["check"](field.default) is None
    for choice in field.metadata["choices"]:
        assert setting_text(field.name, parse_setting(field.name, choice)) == choice


@pytest.mark.parametrize(
    ("name", "written", "value", "read"),
    [
        ("bias_lr", "", None, "same as learning_rate"),
        ("head_lr", "Same as learning_rate", None, "same as learning_rate"),
        ("bias_lr", "64.0", 64.0, "64"),
        ("chart_every", "auto", 0, "auto"),
        ("chart_every", "0", 0, "auto"),
        ("checkpoint_every_minutes", "never", 0.0, "never"),
        ("checkpoint_every_minutes", "2.5", 2.5, "2.5"),
        ("learning_rate", "1e-05", 1e-5, "1e-05"),
        ("learning_rate", "0.123456789", 0.123456789, "0.123456789"),
    ],
)
def test_a_value_is_read_as_a_word_where_it_means_something_else(name, written, value, read):
    assert parse_setting(name, written) == value
    assert setting_text(name, value) == read
