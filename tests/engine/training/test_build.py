"""What the settings make of a model: the tutorial's steps where they are the tutorial's, else a recipe's."""

from functools import partial

import pytest
import torch

from cifar_tui.engine import precision
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import TrainConfig, build_config
from cifar_tui.engine.models import create_model
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.net_steps import NetSteps
from cifar_tui.engine.steps.recipe_steps import RecipeSteps
from cifar_tui.engine.steps.select import StepBackend
from cifar_tui.engine.training.batches import shuffled_order
from cifar_tui.engine.training.build import build_training

EAGER = StepBackend(maker="PyTorch", reason="these tests want it")


def learner(dataset, **settings):
    said = []
    torch.manual_seed(0)
    made = build_training(
        TrainConfig(**settings), EAGER, num_classes=10, train=dataset.train, say=said.append
    )
    return made, said


def losses(made, order):
    return torch.cat([result.losses for result in made.steps.over(order, at_most=lambda: 1)])


def test_the_tutorial_and_other_plain_recipes_make_the_tutorials_steps(noise_dataset):
    for settings, kind in (({}, NetSteps), ({"model": "resnet18", "optimizer": "adamw"}, EagerSteps)):
        made, said = learner(noise_dataset, **settings)
        assert type(made.steps) is kind
        assert said == []


def test_a_recipe_that_adds_nothing_makes_the_same_bits(noise_dataset):
    plain, _ = learner(noise_dataset)
    added, _ = learner(noise_dataset, flip="random")
    assert isinstance(added.steps, RecipeSteps)
    without, _ = learner(noise_dataset)
    recipe = RecipeSteps(
        config=TrainConfig(),
        net=without.net,
        optimizer=without.optimizer,
        averaging=None,
        train=noise_dataset.train,
        precision="fp32",
        say=print,
    )
    order = shuffled_order(840)
    expected = losses(plain, order)
    made = torch.cat([result.losses for result in recipe.over(order, at_most=lambda: 1)])
    assert torch.equal(made, expected)
    for a, b in zip(plain.net.parameters(), without.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_making_a_learner_draws_what_the_model_draws(noise_dataset):
    made, _ = learner(
        noise_dataset, model="airbench-tiny", translate=2, precision="auto", weight_averaging="ema"
    )
    state = torch.get_rng_state()
    torch.manual_seed(0)
    create_model("airbench-tiny", num_classes=10)
    assert torch.equal(torch.get_rng_state(), state)
    whitening = made.net.whitening.weight
    assert torch.allclose(whitening[:12], -whitening[12:]), "the first layer whitens"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(noise_dataset, name):
    config = build_config({"preset": name, "batch_size": 8, "precision": "fp32"})
    torch.manual_seed(0)
    made = build_training(config, EAGER, num_classes=10, train=noise_dataset.train, say=print)
    before = {key: tensor.clone() for key, tensor in made.net.state_dict().items()}
    values = losses(made, torch.arange(48))
    assert bool(values.isfinite().all())
    assert len(values) == 6
    changed = {key for key, tensor in made.net.state_dict().items() if not torch.equal(tensor, before[key])}
    trained = {key for key, parameter in made.net.named_parameters() if key.endswith(("weight", "bias"))}
    assert "whitening.weight" not in changed
    frozen = {key for key in trained if key.endswith("weight") and "norm" in key} | {"whitening.weight"}
    assert trained - frozen <= changed
    assert made.predictor(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_the_rate_follows_the_schedule_and_each_group_its_own(noise_dataset):
    made, _ = learner(
        noise_dataset,
        epochs=1,
        batch_size=84,
        model="airbench-tiny",
        learning_rate=0.1,
        bias_lr=0.5,
        lr_schedule="linear",
    )
    rates = [
        [group["lr"] for group in made.optimizer.param_groups]
        for _ in made.steps.over(torch.arange(840), at_most=lambda: 1)
    ]
    assert [rate[0] for rate in rates] == pytest.approx([0.1 * (10 - step) / 10 for step in range(10)])
    assert [rate[1] for rate in rates] == pytest.approx([0.5 * (10 - step) / 10 for step in range(10)])


@pytest.mark.parametrize("compiled", [False, True])
def test_the_bias_of_the_whitening_layer_is_trained_for_three_epochs(noise_dataset, monkeypatch, compiled):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # starts at once
    settings = {"model": "airbench-tiny", "compile": "yes" if compiled else "no"}
    made, _ = learner(noise_dataset, epochs=5, batch_size=420, **settings)
    made.steps.prepare(lambda: False)
    biases, with_gradient = [], []
    for _ in range(5):
        losses(made, torch.arange(840))
        biases.append(made.net.whitening.bias.detach().clone())
        with_gradient.append(made.net.whitening.bias.requires_grad)
    assert not torch.equal(biases[1], biases[2])
    assert torch.equal(biases[2], biases[3])
    assert torch.equal(biases[2], biases[4])
    assert with_gradient == [True] * 3 + [compiled] * 2, "none is computed in vain, but by a compiled net"


def test_the_first_epochs_may_be_on_smaller_images(noise_dataset):
    made, _ = learner(noise_dataset, epochs=4, batch_size=420, model="airbench-tiny", low_res_fraction=0.5)
    sizes = []
    made.net.register_forward_pre_hook(lambda net, inputs: sizes.append(inputs[0].shape[-1]))
    for _ in range(4):
        losses(made, torch.arange(840))
    assert sizes == [24] * 4 + [32] * 4


@pytest.mark.parametrize(
    ("epochs", "says"),
    [(1, ["all epochs are on whole images: low_res_fraction 0.67 of 1 is less than one"]), (3, [])],
)
def test_small_images_for_less_than_an_epoch_are_said_to_be_none(noise_dataset, epochs, says):
    _, said = learner(noise_dataset, epochs=epochs, model="airbench-tiny", low_res_fraction=0.67)
    assert said == says


@pytest.mark.parametrize(
    ("warmup_fraction", "says"),
    [(0.0, ["lr_schedule one-cycle without a warmup_fraction is the lr_schedule cosine"]), (0.3, [])],
)
def test_one_cycle_without_a_warm_up_is_said_to_be_none(noise_dataset, warmup_fraction, says):
    _, said = learner(noise_dataset, lr_schedule="one-cycle", warmup_fraction=warmup_fraction)
    assert said == says


def test_smoothed_labels_are_those_of_cross_entropy(noise_dataset):
    made, _ = learner(noise_dataset, batch_size=840, label_smoothing=0.2)
    net, _ = learner(noise_dataset)
    images, targets = noise_dataset.train.images, noise_dataset.train.targets
    logits = net.net(images / 127.5 - 1).log_softmax(dim=1)
    expected = -(0.8 * logits[torch.arange(840), targets] + 0.2 * logits.mean(dim=1)).mean()
    assert losses(made, torch.arange(840)).item() == pytest.approx(expected.item(), abs=1e-5)


def test_gradients_of_a_scaled_loss_are_scaled_back(noise_dataset, monkeypatch):
    plain, _ = learner(noise_dataset, translate=1)
    scaled, _ = learner(noise_dataset, translate=1)
    expected = losses(plain, torch.arange(80))
    monkeypatch.setitem(precision._AUTOCAST, "fp16", torch.bfloat16)
    monkeypatch.setattr("cifar_tui.engine.steps.recipe_steps.loss_scale", lambda name: 1024.0)
    assert torch.allclose(losses(scaled, torch.arange(80)), expected, atol=1e-5)
    for a, b in zip(plain.net.parameters(), scaled.net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_bf16_trains_on_a_cpu(noise_dataset, monkeypatch):
    exact, _ = learner(noise_dataset, batch_size=84, model="airbench-tiny", learning_rate=0.01)
    monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("bf16", "bf16 it is"))
    half, said = learner(
        noise_dataset, batch_size=84, model="airbench-tiny", learning_rate=0.01, precision="bf16"
    )
    assert said == ["bf16 it is"]
    values = losses(half, torch.arange(840))
    assert values.dtype == torch.float32
    assert not torch.equal(values, losses(exact, torch.arange(840)))
