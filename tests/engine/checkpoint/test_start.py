"""Weights that a training starts from: in any format, with a fresh last layer for other classes."""

import re

import pytest
import safetensors.torch
import torch
from torchvision.models.vision_transformer import interpolate_embeddings

from cifar_tui.engine.checkpoint.start import start_from
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.normalization import IMAGENET, TUTORIAL
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.load import library_model, load_model
from cifar_tui.engine.models.published.weights import PublishedWeights
from tests.engine.checkpoint.made_state import sound_state
from tests.engine.models.own.nets import FUNCTION, write_net

CLASSES = ("blue", "green", "red")


def start(path, model, *, published=None):
    """A fresh net, what it was before, and what was said."""
    source = library_model(model)
    torch.manual_seed(7)
    net = source.build(num_classes=len(CLASSES), image_size=32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    said = start_from(path, net, source, CLASSES, train=images(32), published=published)
    return net.state_dict(), before, said


def images(size, normalization=TUTORIAL):
    """Training images, of which no pixel counts."""
    pixels = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    return ImageSplit(images=pixels, targets=torch.zeros(1, dtype=torch.int64), normalization=normalization)


def other(model, classes):
    """The weights of another training of `model`."""
    torch.manual_seed(8)
    return library_model(model).build(num_classes=classes, image_size=32).state_dict()


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("net", "fc3"),
        ("airbench-tiny", "head"),
        ("torchvision:shufflenet_v2_x0_5", "fc"),
        ("torchvision:squeezenet1_1", "classifier.1"),
        ("torchvision:mobilenet_v3_small", "classifier.3"),
        ("torchvision:mnasnet0_5", "classifier.1"),
    ],
)
def test_the_last_layer_starts_fresh_for_other_classes_and_everything_else_does_not(tmp_path, model, head):
    saved = other(model, 1000)
    torch.save(saved, tmp_path / "w.pt")
    net, before, said = start(tmp_path / "w.pt", model)
    assert f"; it has 1,000 classes, the dataset 3: the last layer {head} starts fresh; assuming" in said
    for name, tensor in net.items():
        expected = before if name.startswith(f"{head}.") else saved
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("form", ["plain", "wrapped", "prefixed", "safetensors", "half"])
def test_every_format_that_an_evaluation_reads_is_read(tmp_path, form):
    saved, path = other("net", 3), tmp_path / "w.pt"
    match form:
        case "plain":
            torch.save(saved, path)
        case "wrapped":
            torch.save({"epoch": 3, "model_state_dict": saved}, path)
        case "prefixed":
            torch.save({f"module.{name}": tensor for name, tensor in saved.items()}, path)
        case "safetensors":
            safetensors.torch.save_file(saved, path)
        case "half":
            torch.save({name: tensor.half() for name, tensor in saved.items()}, path)
    net, _, said = start(path, "net")
    for name, tensor in net.items():
        assert torch.equal(tensor, saved[name].half().float() if form == "half" else saved[name]), name
    assert said.startswith(f"starting from the weights in '{path}'")
    assert "fresh" not in said


@pytest.mark.parametrize("names", [("red", "green", "blue"), ("cat", "dog", "ape")])
def test_as_many_classes_of_other_names_or_in_another_order_are_other_classes(tmp_path, names):
    saved = other("net", 3)
    torch.save({"model": saved, "class_names": list(names)}, tmp_path / "w.pt")
    net, before, said = start(tmp_path / "w.pt", "net")
    assert "it has other classes than the dataset: the last layer fc3 starts fresh" in said
    assert torch.equal(net["fc3.weight"], before["fc3.weight"])
    torch.save({"model": saved, "class_names": list(CLASSES)}, tmp_path / "w.pt")
    net, _, said = start(tmp_path / "w.pt", "net")
    assert "fresh" not in said
    assert torch.equal(net["fc3.weight"], saved["fc3.weight"])


def test_published_weights_have_the_classes_they_were_published_with(tmp_path):
    torch.save(other("net", 3), tmp_path / "w.pt")
    names = ("tench", "goldfish", "great white shark")
    published = PublishedWeights(path=tmp_path / "w.pt", class_names=names, normalization=TUTORIAL)
    _, _, said = start(tmp_path / "w.pt", "net", published=published)
    assert "it has other classes than the dataset" in said


WORDS = "inputs less mean 0.485 0.456 0.406, divided by deviation 0.229 0.224 0.225 (normalization)"


@pytest.mark.parametrize(
    ("trained_with", "ours", "said"),
    [
        (None, IMAGENET, f"; assuming that they were trained on {WORDS}"),
        (TUTORIAL, IMAGENET, f"; they were trained on inputs from -1 to 1, and train now on {WORDS}"),
        (IMAGENET, IMAGENET, ""),
    ],
)
@pytest.mark.parametrize("where", ["in the file", "in its run", "published"])
def test_other_inputs_than_those_of_the_weights_are_said(tmp_path, trained_with, ours, said, where):
    path, published = tmp_path / "w.pt", None
    known = {} if trained_with is None else {"normalization": trained_with.to_dict()}
    if where == "published":
        torch.save(other("net", 3), path)
        if trained_with is not None:
            published = PublishedWeights(path=path, class_names=CLASSES, normalization=trained_with)
    elif where == "in its run":
        torch.save(other("net", 3), path)
        torch.save(sound_state(class_names=list(CLASSES)) | known, tmp_path / "last.pt")
        if known:
            (tmp_path / "config.toml").touch()
    else:
        state = sound_state(class_names=list(CLASSES)) | {"model": other("net", 3)}
        torch.save(state | known if known else state["model"], path)
    net = library_model("net").build(num_classes=3, image_size=32)
    train = images(32, ours)
    found = start_from(path, net, library_model("net"), CLASSES, train=train, published=published)
    assert found == f"starting from the weights in '{path}'{said}"


def test_an_own_nets_last_layer_starts_fresh_too(tmp_path):
    source, _ = load_model(f"{write_net(tmp_path, FUNCTION)}:make_net", kept_in=None, seed=0, say=print)
    saved = source.build(num_classes=1000, image_size=32).state_dict()
    torch.save(saved, tmp_path / "w.pt")
    net = source.build(num_classes=3, image_size=32)
    said = start_from(tmp_path / "w.pt", net, source, CLASSES, train=images(32))
    assert "1,000 classes, the dataset 3: the last layer 4 starts fresh" in said
    assert torch.equal(net.state_dict()["0.weight"], saved["0.weight"])


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda state: state.pop("conv2.bias"), "missing conv2.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), "unexpected extra"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(6, 3, 3, 3)}),
            "conv1.weight has shape (6, 3, 3, 3), expected (6, 3, 5, 5)",
        ),
        (lambda state: state.update({"fc3.weight": torch.zeros(1000, 9)}), "fc3.weight has shape (1000, 9)"),
        (lambda state: state.pop("fc3.bias"), "missing fc3.bias"),
    ],
)
def test_anything_else_that_does_not_fit_is_refused_with_the_first_name_that_differs(
    tmp_path, change, difference
):
    saved = other("net", 1000)
    change(saved)
    torch.save(saved, tmp_path / "w.pt")
    with pytest.raises(
        ConfigError, match=rf"w\.pt' do not match the model net: {re.escape(difference)}"
    ) as e:
        start(tmp_path / "w.pt", "net")
    assert e.value.field == "weights"


def test_the_position_embeddings_of_a_vit_are_resized_as_torchvision_does_and_that_is_said(tmp_path):
    source = library_model("torchvision:vit_b_32")
    saved = source.build(num_classes=3, image_size=224).state_dict()
    saved["encoder.pos_embedding"].normal_(generator=torch.Generator().manual_seed(3))
    torch.save(saved, tmp_path / "w.pt")
    net = source.build(num_classes=3, image_size=64)
    said = start_from(tmp_path / "w.pt", net, source, CLASSES, train=images(64))
    assert "; position embeddings resized from 224×224 pixels; assuming" in said
    expected = interpolate_embeddings(64, 32, dict(saved))["encoder.pos_embedding"]
    assert torch.equal(net.state_dict()["encoder.pos_embedding"], expected)
    assert expected.shape == (1, 5, 768)
    same = source.build(num_classes=3, image_size=224)
    assert "resized" not in start_from(tmp_path / "w.pt", same, source, CLASSES, train=images(224))


def test_weights_that_are_not_finite_are_refused(tmp_path):
    saved = other("net", 3)
    saved["fc1.weight"][0, 0] = torch.nan
    torch.save(saved, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"not finite \(fc1\.weight: 1 of"):
        start(tmp_path / "w.pt", "net")


def test_statistics_of_batch_normalization_whose_updates_nobody_counted_are_not_fresh(tmp_path):
    source, _ = load_model(f"{write_net(tmp_path, NORMED)}:make_net", kept_in=None, seed=0, say=print)
    for mean, fresh in ((0.0, True), (0.5, False)):
        saved = source.build(num_classes=3, image_size=32).state_dict()
        saved["1.running_mean"].fill_(mean)
        torch.save(saved, tmp_path / "w.pt")
        net = source.build(num_classes=3, image_size=32)
        said = start_from(tmp_path / "w.pt", net, source, CLASSES, train=images(32))
        assert ("statistics that no training has updated" in said) is fresh


NORMED = """
    from torch import nn


    def make_net(num_classes):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, num_classes),
        )
"""
