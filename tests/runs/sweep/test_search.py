"""The values that a sweep tries: what a user can write, all combinations, and what is drawn."""

import math

import pytest

from cifar_tui.engine.config.text import parse_setting
from cifar_tui.engine.errors import ConfigError
from cifar_tui.runs.sweep.search import Span, drawn, grid, parse_axis, parse_seeds, varied


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("learning_rate", "0.001, 0.003,1e-2", ("0.001", "0.003", "1e-2")),
        ("learning_rate", "0.001", ("0.001",)),
        ("bias_lr", "same as learning_rate,0.5", ("same as learning_rate", "0.5")),
        ("optimizer", "sgd,adamw", ("sgd", "adamw")),
        ("data", r"a\,b,../c", ("a,b", "../c")),
        ("bias_lr", "", ("",)),
    ],
)
def test_values_are_separated_by_commas_unless_escaped(name, text, values):
    assert parse_axis(name, text) == values


@pytest.mark.parametrize(
    ("name", "text", "span"),
    [
        ("learning_rate", "1e-4..1e-1:log", Span(low=1e-4, high=0.1, log=True, whole=False)),
        ("momentum", "0.8 .. 0.99", Span(low=0.8, high=0.99, log=False, whole=False)),
        ("batch_size", "16..256:log", Span(low=16, high=256, log=True, whole=True)),
        ("bias_lr", "1...5", None),
    ],
)
def test_a_number_may_have_a_range(name, text, span):
    if span is None:
        with pytest.raises(ConfigError, match=r"LOW\.\.HIGH"):
            parse_axis(name, text)
    else:
        assert parse_axis(name, text) == span


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("learning_rate", "0.1,0.10", "has 0.10 twice"),
        ("learning_rate", "0.1,,0.2", "empty value"),
        ("learning_rate", "0.1,fast", "must be a number"),
        ("learning_rate", "1..0.1", "LOW below HIGH"),
        ("learning_rate", "0.1..1:cubic", "LOW below HIGH"),
        ("momentum", "0..0.9:log", "above 0"),
        ("learning_rate", "0..0.9", "above 0"),
        ("larning_rate", "1,2", "did you mean 'learning_rate'"),
        ("optimizer", "sgd..adamw", "must be one of"),
    ],
)
def test_what_is_no_value_is_refused_in_a_sentence(name, text, problem):
    with pytest.raises(ConfigError, match=problem):
        parse_axis(name, text)


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", "01234"), ("3", "3"), ("0,3,7-9", "03789"), (" 1 , 2 ", "12")]
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert parse_seeds(text) == tuple(seeds)


@pytest.mark.parametrize("text", ["", "3-1", "a", "1,", "-1", "0-4,2", "0-99999999", "1.5"])
def test_what_are_no_seeds_is_refused(text):
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_too_many_seeds_are_said_to_be_too_many():
    with pytest.raises(ConfigError, match="--seeds '0-10000' has more than 10,000 seeds"):
        parse_seeds("0-10000")


def test_a_grid_has_every_combination_the_last_setting_fastest():
    axes = {"optimizer": ("sgd", "adamw"), "momentum": ("0.9",), "learning_rate": ("0.1", "0.2")}
    assert grid(axes) == [
        {"optimizer": optimizer, "momentum": "0.9", "learning_rate": rate}
        for optimizer in ("sgd", "adamw")
        for rate in ("0.1", "0.2")
    ]
    assert varied(axes.items()) == ("optimizer", "learning_rate")
    assert grid({}) == [{}]


def test_a_grid_needs_values_where_there_is_a_range():
    with pytest.raises(ConfigError, match="--random N"):
        grid({"momentum": parse_axis("momentum", "0.1..0.9")})


def test_what_is_drawn_follows_from_the_seed_and_is_in_the_range():
    texts = {"learning_rate": "1e-4..1e-1:log", "batch_size": "16..256:log", "epochs": "2..4"}
    axes = {name: parse_axis(name, text) for name, text in texts.items()} | {"optimizer": ("sgd", "adamw")}
    found = drawn(axes, 300, seed=1)
    assert found == drawn(axes, 300, seed=1) != drawn(axes, 300, seed=2)
    assert found[:5] == drawn(axes, 5, seed=1), "more runs keep the first ones"
    rates = [parse_setting("learning_rate", values["learning_rate"]) for values in found]
    assert all(1e-4 <= rate <= 0.1 for rate in rates)
    thirds = [sum(math.floor(math.log10(rate)) == power for rate in rates) for power in (-4, -3, -2)]
    assert min(thirds) > 70, "each power of ten gets a third"
    sizes = [parse_setting("batch_size", values["batch_size"]) for values in found]
    assert min(sizes) >= 16
    assert max(sizes) <= 256
    assert 120 < sum(size < 64 for size in sizes) < 180, "half of the doublings"
    assert {values["epochs"] for values in found} == {"2", "3", "4"}
    assert {values["optimizer"] for values in found} == {"sgd", "adamw"}
    assert len({tuple(values.values()) for values in found}) == 300


def test_a_drawn_number_has_few_digits_and_stays_in_a_narrow_range():
    axes = {"momentum": parse_axis("momentum", "0.900001..0.900002")}
    for values in drawn(axes, 2, seed=0):
        assert 0.900001 <= float(values["momentum"]) <= 0.900002
    wide = Span(low=0.01, high=0.1, log=True, whole=False)
    assert all(len(values["lr"]) <= len("0.01234") for values in drawn({"lr": wide}, 50, seed=0))


def test_fewer_combinations_than_asked_for_are_an_error():
    with pytest.raises(ConfigError, match="found only 2"):
        drawn({"optimizer": ("sgd", "adamw")}, 3, seed=0)
    with pytest.raises(ConfigError, match="something to draw from"):
        drawn({"optimizer": ("sgd",)}, 3, seed=0)
