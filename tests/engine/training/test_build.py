"""What the settings make of a model: the tutorial's steps, and what a recipe adds to them."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch

from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import build_config
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.registry import MODELS, create_model
from cifar_tui.engine.optim.registry import OPTIMIZERS
from cifar_tui.engine.steps.backend import BackendFailedError
from cifar_tui.engine.steps.cuda_graph import CudaGraphSteps
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.registry import BACKENDS
from cifar_tui.engine.training.build import build_training
from tests.engine.made_training import build_setup, choice_of, first_images, losses

REGISTERED = [
    *({"model": name, "precision": "fp32"} for name in MODELS),
    *({"optimizer": name} for name in OPTIMIZERS),
    *({"backend": name} for name in BACKENDS),
]


@pytest.mark.parametrize("settings", REGISTERED, ids=str)
def test_every_registered_name_builds_and_trains(noise_dataset, settings):
    setup = build_setup(noise_dataset, batch_size=2, **settings)
    before = {name: tensor.clone() for name, tensor in setup.net.named_parameters()}
    (loss,) = losses(setup.runner, torch.arange(2))
    assert bool(loss.isfinite())
    for name, parameter in setup.net.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
    assert setup.choice.backend.name == settings.get("backend", "eager")
    assert setup.predictor(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(noise_dataset, name):
    config = build_config({"preset": name, "batch_size": 2, "precision": "fp32"})
    logged = []
    setup = build_training(
        config,
        choice_of("eager"),
        net=create_model(config.model, num_classes=10),
        num_classes=10,
        train=noise_dataset.train,
        log=logged.append,
        cancelled=lambda: False,
    )
    before = {key: tensor.clone() for key, tensor in setup.net.state_dict().items()}
    (loss,) = losses(setup.runner, torch.arange(2))
    assert bool(loss.isfinite())
    after = setup.runner.state_dict()["trained"] or setup.net.state_dict()
    changed = {key for key, tensor in after.items() if not torch.equal(tensor, before[key])}
    trained = {key for key in after if key.endswith(("weight", "bias"))}
    assert "whitening.weight" not in changed
    frozen = {key for key in trained if key.endswith("weight") and "norm" in key} | {"whitening.weight"}
    assert trained - frozen <= changed
    assert logged == []


def test_building_draws_only_what_the_initialization_draws(noise_dataset):
    dataset = first_images(noise_dataset, 16)
    setup = build_setup(dataset, model="airbench-tiny", precision="auto", weight_averaging="ema")
    state = torch.get_rng_state()
    torch.manual_seed(0)
    create_model("airbench-tiny", num_classes=10)
    assert torch.equal(torch.get_rng_state(), state)
    whitening = setup.net.whitening.weight
    assert torch.allclose(whitening[:12], -whitening[12:]), "the first layer whitens"


@pytest.mark.parametrize(("precision", "rounding"), [("fp32", "ieee"), ("tf32", "tf32")])
def test_steps_are_prepared_in_the_precision_they_run_in(noise_dataset, monkeypatch, precision, rounding):
    found = []
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    monkeypatch.setattr(
        EagerSteps,
        "prepare",
        lambda steps, cancelled: found.extend(backend.fp32_precision for backend in backends),
    )
    build_setup(noise_dataset, resumed_precision=precision)
    assert found == [rounding, rounding]


@pytest.mark.parametrize(("model", "benchmarked"), [("net", []), ("airbench-tiny", ["cpu"])])
def test_the_tutorial_model_keeps_the_algorithms_that_cudnn_chooses(
    noise_dataset, monkeypatch, model, benchmarked
):
    found = []
    monkeypatch.setattr(
        "cifar_tui.engine.training.build.fastest_convolutions",
        lambda device: nullcontext(found.append(device.type)),
    )
    build_setup(noise_dataset, model=model)
    assert found == benchmarked


def fail_to_record(steps):
    raise RuntimeError("operation not permitted\nwhen capturing")


def test_a_backend_that_cannot_be_prepared_gives_way_to_eager_steps(noise_dataset, monkeypatch):
    monkeypatch.setattr(CudaGraphSteps, "_record", fail_to_record)
    setup = build_setup(noise_dataset, backend="cuda_graph")
    assert setup.choice.backend.name == "eager"
    assert setup.choice.sentence() == ("backend eager: CUDA graph capture failed (operation not permitted)")
    expected = losses(build_setup(noise_dataset).runner, torch.arange(100))
    assert torch.equal(losses(setup.runner, torch.arange(100)), expected)


def test_a_backend_that_was_asked_for_and_cannot_be_prepared_is_refused(noise_dataset, monkeypatch):
    monkeypatch.setattr(CudaGraphSteps, "_record", fail_to_record)
    build = partial(
        build_training,
        build_config({"backend": "cuda_graph"}),
        choice_of("cuda_graph"),
        net=create_model("net", num_classes=10),
        num_classes=10,
        train=noise_dataset.train,
        log=print,
        cancelled=lambda: False,
    )
    with pytest.raises(
        ConfigError, match=r"^backend 'cuda_graph' is not available: CUDA graph capture failed"
    ) as refused:
        build()
    assert refused.value.field == "backend"
    assert isinstance(refused.value.__cause__, BackendFailedError)
    assert build(restore=lambda setup: None).choice.backend.name == "eager", (
        "a resumed run continues without it"
    )


def test_the_learning_rate_follows_the_schedule_in_every_parameter_group(noise_dataset):
    setup = build_setup(
        first_images(noise_dataset, 40),
        epochs=1,
        batch_size=4,
        model="airbench-tiny",
        learning_rate=0.1,
        bias_lr=0.5,
        lr_schedule="linear",
    )
    rates = [
        [group["lr"] for group in setup.optimizer.param_groups]
        for _ in setup.runner.run(torch.arange(40), step=0, max_steps=lambda: 1)
    ]
    assert [rate[0] for rate in rates] == pytest.approx([0.1 * (10 - step) / 10 for step in range(10)])
    assert [rate[1] for rate in rates] == pytest.approx([0.5 * (10 - step) / 10 for step in range(10)])


@pytest.mark.parametrize("compiled", [False, True])
def test_the_whitening_bias_is_trained_for_three_epochs(noise_dataset, monkeypatch, compiled):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # starts at once
    setup = build_setup(
        first_images(noise_dataset, 8),
        epochs=5,
        batch_size=4,
        model="airbench-tiny",
        compile="yes" if compiled else "no",
    )
    counters = torch._dynamo.utils.counters["stats"]
    graphs = counters["unique_graphs"]
    bias, biases, with_gradient = setup.net.whitening.bias, [], []
    for epoch in range(5):
        losses(setup.runner, torch.arange(8), step=2 * epoch)
        biases.append(bias.detach().clone())
        with_gradient.append(bias.requires_grad)
    assert not torch.equal(biases[1], biases[2])
    assert torch.equal(biases[2], biases[3])
    assert torch.equal(biases[2], biases[4])
    assert with_gradient == [True] * 3 + [False] * 2
    assert counters["unique_graphs"] == graphs, "no step waits for the compiler"


def test_the_first_epochs_may_train_on_smaller_images(noise_dataset):
    dataset = first_images(noise_dataset, 8)
    setup = build_setup(dataset, epochs=4, batch_size=4, model="airbench-tiny", low_res_fraction=0.5)
    sizes = []
    setup.net.register_forward_pre_hook(lambda net, inputs: sizes.append(inputs[0].shape[-1]))
    for epoch in range(4):
        losses(setup.runner, torch.arange(8), step=2 * epoch)
    assert sizes == [24] * 4 + [32] * 4


@pytest.mark.parametrize(
    ("settings", "logged"),
    [
        (
            {"epochs": 1, "model": "airbench-tiny", "low_res_fraction": 0.67},
            [
                (
                    "all epochs train on full-size images: low_res_fraction 0.67 with epochs 1 "
                    "is less than one epoch"
                )
            ],
        ),
        ({"epochs": 3, "model": "airbench-tiny", "low_res_fraction": 0.67}, []),
        (
            {"lr_schedule": "one-cycle"},
            ["lr_schedule one-cycle without warmup_fraction is the same as cosine"],
        ),
        ({"lr_schedule": "one-cycle", "warmup_fraction": 0.3}, []),
        ({}, []),
        ({"model": "airbench-tiny", "optimizer": "adamw", "translate": 2}, []),
    ],
)
def test_settings_that_together_do_nothing_are_logged(noise_dataset, settings, logged):
    found = []
    build_setup(noise_dataset, log=found.append, **settings)
    assert found == logged


def test_label_smoothing_is_that_of_cross_entropy(noise_dataset):
    setup = build_setup(noise_dataset, batch_size=840, label_smoothing=0.2)
    net = build_setup(noise_dataset).net
    images, targets = noise_dataset.train.images, noise_dataset.train.targets
    logits = net(images / 127.5 - 1).log_softmax(dim=1)
    expected = -(0.8 * logits[torch.arange(840), targets] + 0.2 * logits.mean(dim=1)).mean()
    assert losses(setup.runner, torch.arange(840)).item() == pytest.approx(expected.item(), abs=1e-5)


def test_gradients_of_a_scaled_loss_are_scaled_back(noise_dataset, monkeypatch):
    plain = build_setup(noise_dataset, translate=1)
    scaled = build_setup(noise_dataset, translate=1)
    expected = losses(plain.runner, torch.arange(80))
    monkeypatch.setattr("cifar_tui.engine.steps.eager.loss_scale", lambda name, size: 1024.0)
    assert torch.allclose(losses(scaled.runner, torch.arange(80)), expected, atol=1e-5)
    for a, b in zip(plain.net.parameters(), scaled.net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_bf16_trains_on_a_cpu(noise_dataset, monkeypatch):
    settings = {"batch_size": 8, "model": "airbench-tiny", "learning_rate": 0.01}
    exact = build_setup(noise_dataset, **settings)
    monkeypatch.setattr("cifar_tui.engine.training.build.select_precision", lambda *_: ("bf16", "in bf16"))
    logged = []
    half = build_setup(noise_dataset, log=logged.append, precision="bf16", **settings)
    assert logged == ["in bf16"]
    assert half.precision == "bf16"
    values = losses(half.runner, torch.arange(24))
    assert values.dtype == torch.float32
    assert not torch.equal(values, losses(exact.runner, torch.arange(24)))
