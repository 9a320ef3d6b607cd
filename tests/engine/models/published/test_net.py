"""Architectures of torchvision: built for any number of classes, and their files recognized."""

import re
import types

import pytest
import torch
import torchvision

from cifar_tui.engine.checkpoint.weights import build_net, load_weights, recognize
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.classifier import last_layer
from cifar_tui.engine.models.published.net import PublishedModel
from cifar_tui.engine.models.recognize import compare

SMALL = ["resnet18", "squeezenet1_1", "mnasnet0_5", "mobilenet_v3_small", "shufflenet_v2_x0_5", "googlenet"]


def build(name, classes=7, size=32):
    return PublishedModel(f"torchvision:{name}").build(num_classes=classes, image_size=size)


@pytest.mark.parametrize("name", [*SMALL, "densenet121", "efficientnet_b0", "regnet_x_400mf", "swin_t"])
def test_a_net_gives_a_logit_for_each_class_and_its_head_is_known(name):
    net = build(name)
    with torch.no_grad():
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert last_layer(net).weight.shape[0] == 7


def test_a_net_is_the_one_that_torchvision_builds():
    torch.manual_seed(3)
    expected = torchvision.models.resnet18(num_classes=7).state_dict()
    torch.manual_seed(3)
    state = build("resnet18").state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items())


@pytest.mark.parametrize(("name", "size"), [("vit_b_32", 64), ("maxvit_t", 224)])
def test_a_net_of_one_image_size_is_built_for_that_of_the_images(name, size):
    net = build(name, size=size).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, size, size)).shape == (1, 7)


@pytest.mark.parametrize(("name", "reason"), [("vit_b_16", "indivisible"), ("maxvit_t", "not divisible")])
def test_a_net_that_cannot_be_built_for_the_image_size_is_refused(name, reason):
    sentence = (
        rf"^torchvision:{name} does not take images of 36×36 pixels \(.*{reason}.*\); set another "
        "image_size, batch_size or model$"
    )
    with pytest.raises(ConfigError, match=sentence):
        build(name, size=36)


@pytest.mark.parametrize("name", SMALL)
def test_a_file_of_its_weights_is_recognized_with_its_number_of_classes(tmp_path, name):
    net = build(name).eval()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    weights = recognize(
        load_weights(tmp_path / "w.pth"), PublishedModel(f"torchvision:{name}"), image_size=32
    )
    assert weights.num_classes == 7
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(build_net(weights).eval()(inputs), net(inputs))


def test_a_file_of_another_net_is_refused_with_the_first_name_that_differs(tmp_path):
    torch.save(build("resnet18").state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        ConfigError, match=r"does not match the model torchvision:mnasnet0_5: expected layers\.0\.weight"
    ):
        recognize(load_weights(tmp_path / "w.pth"), PublishedModel("torchvision:mnasnet0_5"), image_size=32)


def test_densenets_published_names_are_translated_as_torchvision_does():
    state = build("densenet121").state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    published = types.SimpleNamespace(get_state_dict=lambda **_: dict(old))
    torchvision.models.densenet._load_state_dict(build("densenet121"), published, progress=False)
    assert compare("torchvision:densenet121", old, image_size=32).difference
    renamed, left_out = PublishedModel("torchvision:densenet121").renamed(old)
    assert (compare("torchvision:densenet121", renamed, image_size=32).difference, left_out) == ("", ())


def test_the_published_names_of_a_vit_are_translated_as_torchvision_does():
    source = PublishedModel("torchvision:vit_b_32")
    state = build("vit_b_32").state_dict()
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for name, tensor in state.items()
    }
    assert old.keys() != state.keys()
    build("vit_b_32").load_state_dict(dict(old))
    renamed, left_out = source.renamed(old)
    assert (renamed.keys(), left_out) == (state.keys(), ())


def test_auxiliary_classifiers_are_left_out_and_that_is_said(tmp_path):
    with_auxiliary = torchvision.models.googlenet(num_classes=7, aux_logits=True, init_weights=False)
    torch.save(with_auxiliary.state_dict(), tmp_path / "w.pth")
    weights = recognize(
        load_weights(tmp_path / "w.pth"), PublishedModel("torchvision:googlenet"), image_size=32
    )
    assert weights.notes[0] == "without the auxiliary classifiers"
    with torch.no_grad():
        inputs = torch.randn(2, 3, 32, 32)
        assert torch.equal(build_net(weights).eval()(inputs), with_auxiliary.eval()(inputs))
