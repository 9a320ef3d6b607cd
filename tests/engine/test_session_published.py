"""A whole run of an architecture of torchvision: its bits, its first weights, its frozen backbone."""

import io

import pytest
import torch

from cifar_tui.engine.data.normalization import IMAGENET, TUTORIAL
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.events import Alert, LoadingProgress, LossPoint, Message
from tests.engine.made_session import Run
from tests.engine.models.published.test_weights import DEFAULT, MODEL, published_file
from tests.engine.models.published.test_weights import server as server

RECIPE = {
    "model": MODEL,
    "batch_size": 6,
    "learning_rate": 0.01,
    "epochs": 2,
    "chart_every": 1,
    "eval_every": 1,
    "weight_decay": 0.05,
}
STEPS = 4
"""In an epoch, on 24 images."""


@pytest.fixture
def start(tmp_path, image_folder):
    """Starts runs, each in a folder of its own."""

    def start(name, *, on_event=None, folder=None, **settings):
        run = Run(tmp_path / name, data=image_folder, on_event=on_event, **RECIPE | settings)
        if folder is not None:
            run.folder = folder
        return run

    return start


@pytest.fixture
def weights(tmp_path):
    """Weights of `MODEL` for 1,000 classes: their file, and what is in it."""
    content, _ = published_file()
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return path, torch.load(path, weights_only=True)


def request(kind, step):
    def on_event(run, event):
        if isinstance(event, LossPoint) and event.step == step:
            run.control.request(kind)

    return on_event


def saved(run, name="cifar_net.pth"):
    return torch.load(run.folder / name, weights_only=True)


def logged(run):
    return [event.text for event in run.of(Message)]


def normalization_of(run):
    return saved(run, "last.pt")["normalization"]


def losses(*runs):
    return [event.loss for run in runs for event in run.of(LossPoint)]


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def changed(state, before):
    return {name for name, tensor in state.items() if not torch.equal(tensor, before[name])}


def head_of(state):
    return {name for name in state if name.startswith("fc.")}


def test_weights_for_1000_classes_start_3_classes_with_the_backbone_frozen_first(start, weights):
    path, published = weights
    run = start(
        "a", weights=str(path), freeze="backbone", freeze_epochs=1, on_event=request("stop", STEPS - 1)
    )
    assert not run.train().completed
    state = saved(run)
    assert state["fc.weight"].shape == (3, 1024)
    backbone = {name: tensor for name, tensor in state.items() if name not in head_of(state)}
    assert changed(backbone, published) == set(), "neither weights, nor statistics, nor their counts"
    resumed = start("b", weights=str(path), freeze="backbone", freeze_epochs=1, folder=run.folder)
    assert resumed.train(resume_from=saved(run, "last.pt")).completed
    later = saved(resumed)
    assert changed(later, {**published, **state}) == set(later), "all of it has trained since"
    fresh = "it has 1,000 classes, the dataset 3: the last layer fc starts fresh"
    inputs = "assuming that they were trained on inputs from -1 to 1 (normalization)"
    assert f"starting from the weights in '{path}'; {fresh}; {inputs}" in logged(run)
    assert not any(fresh in line for line in logged(resumed))
    assert any("the last layer fc trains alone in epoch 1, 3,075 of 344,867" in line for line in logged(run))
    assert run.of(Alert) == []


@pytest.mark.parametrize("stop", [2, STEPS, STEPS + 2], ids=["frozen", "between", "thawed"])
@pytest.mark.parametrize("averaging", ["none", "ema", "lookahead"])
def test_a_resume_in_either_phase_equals_the_uninterrupted_run(start, weights, stop, averaging):
    path, _ = weights
    settings = {"freeze": "backbone", "freeze_epochs": 1, "weight_averaging": averaging}
    whole = start("a", weights=str(path), **settings)
    whole.train()
    stopped = start("b", weights=str(path), **settings, on_event=request("stop", stop))
    assert not stopped.train().completed
    path.unlink()
    resumed = start("c", weights=str(path), **settings, folder=stopped.folder)
    assert resumed.train(resume_from=saved(stopped, "last.pt")).completed
    assert losses(stopped, resumed) == losses(whole)
    assert_same_bits(saved(resumed), saved(whole))
    assert resumed.of(Alert) == []


def test_the_whitening_of_weights_is_kept_whatever_they_now_train_on(start):
    settings = {"model": "airbench-tiny", "learning_rate": 1e-6}
    first = start("a", **settings)
    first.train()
    weights = str(first.folder / "cifar_net.pth")
    again = start("b", weights=weights, normalization="imagenet", **settings)
    again.train()
    assert torch.equal(saved(again)["whitening.weight"], saved(first)["whitening.weight"])


@pytest.mark.parametrize("averaging", ["none", "ema", "lookahead"])
def test_an_evaluation_in_between_thaws_nothing(start, weights, averaging):
    path, published = weights
    run = start(
        "a",
        weights=str(path),
        freeze="backbone",
        weight_averaging=averaging,
        val_size=6,
        on_event=request("evaluate", 2),
    )
    run.train()
    state = saved(run)
    assert changed(state, published | {name: state[name] * 0 - 1 for name in head_of(state)}) == head_of(
        state
    )


def test_a_net_with_a_version_in_its_weights_resumes_and_averages(start):
    settings = {"model": "torchvision:mnasnet0_5", "weight_averaging": "ema", "learning_rate": 1e-5}
    whole = start("a", **settings)
    whole.train()
    stopped = start("b", **settings, on_event=request("stop", 3))
    stopped.train()
    resumed = start("b", **settings, folder=stopped.folder)
    resumed.train(resume_from=saved(stopped, "last.pt"))
    assert_same_bits(saved(resumed), saved(whole))


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "torchvision:squeezenet1_1", "head_lr": 0.1, "bias_lr": 0.05, "optimizer": "nesterov"},
        {"model": "torchvision:googlenet", "channels_last": True, "optimizer": "adamw"},
        {"optimizer": "muon", "precision": "bf16", "low_res_fraction": 0.5, "class_weights": "balanced"},
    ],
    ids=["convolution as head", "auxiliary classifiers", "muon"],
)
def test_every_kind_of_architecture_trains_with_every_kind_of_setting(start, settings):
    run = start("a", **settings)
    assert run.train().completed
    again = start("b", **settings)
    report = again.session.evaluate_file(run.folder / "cifar_net.pth")
    assert torch.equal(report.losses, run.session.report.losses)


def test_a_frozen_backbone_of_random_weights_is_an_alert(start):
    run = start("a", freeze="backbone")
    run.train()
    (alert,) = run.of(Alert)
    assert alert.text == "freeze backbone without pretrained or weights: what is frozen has random weights"


def test_pretrained_takes_the_published_weights(start, server):
    published = torch.load(io.BytesIO(server.payload), weights_only=True)
    run = start("a", pretrained=True, freeze="backbone")
    run.train()
    state = saved(run)
    assert changed({name: state[name] for name in state if name not in head_of(state)}, published) == set()
    assert any("1,000 classes, the dataset 3: the last layer fc starts fresh" in line for line in logged(run))
    assert any("downloading" in event.stage for event in run.of(LoadingProgress))
    assert normalization_of(run) == IMAGENET.to_dict()
    assert any(line.startswith("normalization auto: ") for line in logged(run))
    again = start("b", pretrained=True, freeze="backbone")
    again.train()
    assert len(server.ranges) == 1
    assert_same_bits(saved(again), state)


@pytest.mark.parametrize("settings", [{"pretrained": True, "normalization": "tutorial"}, {}], ids=str)
def test_another_normalization_is_that_of_the_settings(start, server, settings):
    run = start("a", epochs=1, **settings)
    run.train()
    assert normalization_of(run) == TUTORIAL.to_dict()


def test_without_a_network_pretrained_leaves_nothing_behind(start, server, monkeypatch):
    monkeypatch.setattr(DEFAULT.value, "url", "http://127.0.0.1:9/models/w-01234567.pth")
    run = start("a", pretrained=True)
    with pytest.raises(
        DataUnavailableError, match=r"cannot download w-01234567\.pth .* set weights to a file"
    ):
        run.train()
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"model": "torchvision:alexnet"},
            r"^torchvision:alexnet does not take a training batch of 6 images of 32×32 pixels \(RuntimeE",
        ),
        ({"weights": "no.pth"}, r"^weights 'no\.pth' do not exist: set the path of a file$"),
        ({"weights": "/usr"}, r"^weights '/usr' are a folder: set the path of a file in it, such as cifar_n"),
        ({"batch_size": 1}, r"a training batch of 1 image .*; set another image_size, batch_size or model$"),
    ],
    ids=["too small", "no file", "a folder", "one image"],
)
def test_what_cannot_train_is_refused_before_the_first_step(start, settings, sentence):
    run = start("a", **settings)
    with pytest.raises(ConfigError, match=sentence):
        run.train()
    assert not run.folder.exists()
