"""The rates of the presets are the published ones, for a loss that is a batch's mean and not its sum."""

import pytest

from cifar_tui.engine.config.presets import PRESET_SUMMARIES, PRESETS
from cifar_tui.engine.config.schema import preset_config

AIRBENCH94_MUON = {"batch": 2000, "filters": 0.24, "biases": 0.053, "head": 0.67, "decay": 2e-6}
"""https://github.com/KellerJordan/cifar10-airbench, airbench94_muon.py; what decays in a step is `decay` to
an image, whatever the rate.
"""
AIRBENCH = {"batch": 1024, "rate": 11.5, "kilostep": 7851, "decay": 0.0153, "biases": 64}
"""The recipe with SGD, Jordan, https://arxiv.org/abs/2404.00498: rate and decay are to 1,024 images, over a
scale of 7,851, which is 1024 * (1 + 1 / (1 - momentum)).
"""
LOGIT_DIVISORS = {"published": 256, "here": 9}
"""The published head of Muon's recipe has weights of size 1; here they are as Linear makes them."""


def test_speedruns_rates_are_airbench94_muons():
    config, published = preset_config("speedrun"), AIRBENCH94_MUON
    assert config.batch_size == published["batch"]
    assert config.learning_rate == published["filters"], "Muon's step has one size whatever the loss"
    assert config.bias_lr == pytest.approx(published["batch"] * published["biases"])
    # weights that give the same logits are `ratio` times as large, and so is to be their step, for gradients
    # that are larger by 1 / ratio
    ratio = LOGIT_DIVISORS["here"] / LOGIT_DIVISORS["published"]
    head = published["batch"] * published["head"] * ratio**2
    assert config.head_lr == pytest.approx(head, rel=0.005)


def test_speedruns_weights_decay_as_airbench94_muons():
    config, published = preset_config("speedrun"), AIRBENCH94_MUON
    to_a_step = published["batch"] * published["decay"]
    assert config.learning_rate * config.weight_decay == pytest.approx(to_a_step, rel=0.005)


def test_the_rates_of_max_are_those_of_airbench_with_sgd():
    config, published = preset_config("max"), AIRBENCH
    assert config.batch_size == published["batch"]
    scale = published["batch"] * (1 + 1 / (1 - config.momentum))
    assert scale == pytest.approx(published["kilostep"], abs=0.5)
    rate = published["batch"] * published["rate"] / published["kilostep"]
    assert config.learning_rate == pytest.approx(rate, rel=0.005)
    assert config.bias_lr == published["biases"] * config.learning_rate
    assert config.head_lr is None, "learning_rate"


def test_the_weights_of_max_decay_as_those_of_airbench_with_sgd():
    config, published = preset_config("max"), AIRBENCH
    to_a_step = published["batch"] * published["decay"] / published["kilostep"]
    assert config.learning_rate * config.weight_decay == pytest.approx(to_a_step, rel=0.005)


def test_quicks_rates_are_those_of_speedrun_for_its_batch():
    config, published = preset_config("quick"), AIRBENCH94_MUON
    share = config.batch_size / published["batch"]
    speedrun = preset_config("speedrun")
    assert config.bias_lr == pytest.approx(share * speedrun.bias_lr, rel=0.01)
    assert config.head_lr == pytest.approx(share * speedrun.head_lr, rel=0.02)
    decay = share * speedrun.learning_rate * speedrun.weight_decay
    assert config.learning_rate * config.weight_decay == pytest.approx(decay, rel=0.03)


def test_every_preset_is_explained_in_one_line():
    assert list(PRESET_SUMMARIES) == list(PRESETS)
