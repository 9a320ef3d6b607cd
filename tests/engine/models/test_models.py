"""The networks: against references, for any number of classes, and how they are initialized."""

import pytest
import torch
from torch import nn

from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.models.airbench import AirbenchNet
from cifar_tui.engine.models.classifier import Classifier, last_layer
from cifar_tui.engine.models.registry import MODELS, create_model


def split_of(images):
    return ImageSplit(images=images, targets=torch.zeros(len(images), dtype=torch.int64))


@pytest.fixture
def images():
    """Training images with neighbouring pixels alike, as in photographs."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(300, 3, 8, 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, 32, mode="bicubic") + 0.02 * torch.rand(300, 3, 32, 32)
    return (smooth.clamp(0, 1) * 255).to(torch.uint8)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_gives_a_logit_for_each_of_any_number_of_classes(name):
    net = create_model(name, num_classes=7).eval()
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert last_layer(net).out_features == 7


def test_the_head_is_the_last_linear_layer_or_else_the_last_convolution():
    first, second, convolution = nn.Linear(3, 4), nn.Linear(4, 5), nn.Conv2d(3, 4, 1)
    assert last_layer(nn.Sequential(first, second, convolution)) is second
    assert last_layer(nn.Sequential(nn.Conv2d(3, 3, 1), convolution, nn.ReLU())) is convolution
    assert last_layer(nn.ReLU()) is None


def test_resnet18_is_torchvisions_with_another_stem():
    import torchvision

    torch.manual_seed(1)
    reference = torchvision.models.resnet18(num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    net = create_model("resnet18", num_classes=10)
    net.load_state_dict(reference.state_dict())
    inputs = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net.train()(inputs), reference.train()(inputs))
        assert torch.equal(net.eval()(inputs), reference.eval()(inputs))


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("airbench-tiny", (16, 64, 96)),
        ("airbench-small", (32, 128, 192)),
        ("airbench94", (64, 256, 256)),
        ("airbench95", (128, 384, 384)),
        ("airbench96", (128, 384, 512)),
    ],
)
def test_an_airbench_net_is_as_wide_as_its_recipe(name, widths):
    net = create_model(name, num_classes=10)
    assert net.whitening.weight.shape == (24, 3, 2, 2)
    assert [block.convs[-1].weight.shape[0] for block in net.blocks] == list(widths)
    assert {len(block.convs) for block in net.blocks} == {3 if name == "airbench96" else 2}
    assert net.head.weight.shape == (10, widths[-1])
    assert net.head.bias is None


@pytest.mark.parametrize(
    ("name", "activation"), [("airbench-tiny", nn.functional.relu), ("airbench96", nn.functional.gelu)]
)
def test_an_airbench_net_computes_what_its_recipe_says(name, activation):
    net = create_model(name, num_classes=10).train()
    weights = net.state_dict()
    inputs = torch.randn(8, 3, 32, 32)

    def normalized(x, name):
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        shift = weights[f"{name}.bias"].view(1, -1, 1, 1)
        return (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-12).sqrt() + shift

    x = activation(nn.functional.conv2d(inputs, weights["whitening.weight"], weights["whitening.bias"]))
    for block in ("blocks.0", "blocks.1", "blocks.2"):
        x = nn.functional.max_pool2d(
            nn.functional.conv2d(x, weights[f"{block}.convs.0.weight"], padding=1), 2
        )
        first = x = activation(normalized(x, f"{block}.norms.0"))
        x = nn.functional.conv2d(x, weights[f"{block}.convs.1.weight"], padding=1)
        x = activation(normalized(x, f"{block}.norms.1"))
        if name == "airbench96":
            x = nn.functional.conv2d(x, weights[f"{block}.convs.2.weight"], padding=1)
            x = activation(normalized(x, f"{block}.norms.2") + first)
    expected = nn.functional.max_pool2d(x, 3).flatten(1) @ weights["head.weight"].T / 9
    assert torch.allclose(net(inputs), expected, atol=1e-5)


def test_running_statistics_of_an_airbench_net_take_four_tenths_of_the_last_batch():
    net = create_model("airbench-tiny", num_classes=10).train()
    entered = {}
    norm = net.blocks[0].norms[0]
    norm.register_forward_pre_hook(lambda module, inputs: entered.setdefault("batch", inputs[0].detach()))
    net(torch.randn(8, 3, 32, 32))
    mean, variance = entered["batch"].mean(dim=(0, 2, 3)), entered["batch"].var(dim=(0, 2, 3))
    assert torch.allclose(norm.running_mean, 0.4 * mean, atol=1e-6)
    assert torch.allclose(norm.running_var, 0.6 + 0.4 * variance, atol=1e-5)


def test_an_airbench_net_evaluates_with_running_statistics_whatever_else_is_in_the_batch():
    torch.manual_seed(0)
    net = create_model("airbench-tiny", num_classes=10).train()
    net(torch.randn(8, 3, 32, 32))
    net.eval()
    norm, features = net.blocks[1].norms[1], torch.randn(4, 64, 8, 8)
    with torch.no_grad():
        norm.bias.normal_()
        scale = (norm.running_var + 1e-12).sqrt().view(1, -1, 1, 1)
        expected = (features - norm.running_mean.view(1, -1, 1, 1)) / scale + norm.bias.view(1, -1, 1, 1)
        assert torch.allclose(norm(features), expected, atol=1e-5)
        inputs = torch.randn(5, 3, 32, 32)
        assert torch.allclose(net(inputs)[:1], net(inputs[:1]), atol=1e-5)


@pytest.mark.parametrize(("name", "passed_through"), [("airbench-tiny", 16), ("airbench-small", 24)])
def test_the_first_filters_of_an_airbench_net_pass_their_channels_through(name, passed_through):
    net = create_model(name, num_classes=10)
    conv = net.blocks[0].convs[0]
    inputs = torch.randn(2, 24, 8, 8)
    assert torch.allclose(conv(inputs)[:, :passed_through], inputs[:, :passed_through], atol=1e-6)


def test_an_airbench_net_does_not_train_its_whitening_and_the_scales_of_its_norms():
    net = create_model("airbench94", num_classes=10)
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    scales = {f"blocks.{block}.norms.{norm}.weight" for block in range(3) for norm in range(2)}
    assert frozen == {"whitening.weight"} | scales
    assert all((net.get_parameter(name) == 1).all() for name in scales)


def test_whitened_patches_are_uncorrelated_and_of_one_size(images):
    net = create_model("airbench-tiny", num_classes=10)
    net.init_from_images(split_of(images))
    with torch.no_grad():
        whitened = net.whitening(normalize(images)).permute(0, 2, 3, 1).reshape(-1, 24)
    assert torch.allclose(whitened[:, 12:], -whitened[:, :12], atol=1e-5), "both signs of every filter"
    covariance = whitened[:, :12].T @ whitened[:, :12] / len(whitened)
    sizes = covariance.diagonal()
    assert torch.allclose(covariance, torch.diag(sizes), atol=2e-3)
    assert sizes[0] == pytest.approx(1, abs=0.01), "the strongest direction is scaled to 1"
    assert bool((sizes <= 1.001).all()), "weak ones to less, for they are mostly noise"


def test_whitening_looks_at_images_from_first_to_last(images):
    net = AirbenchNet((4, 4, 4))
    images = images[..., :8, :8]
    dark = torch.zeros(9700, 3, 8, 8, dtype=torch.uint8)
    net.init_from_images(split_of(torch.cat([dark, images])))
    before = net.whitening.weight.clone()
    net.init_from_images(split_of(torch.cat([dark, images.flip(0).flip(1)])))
    assert not torch.equal(net.whitening.weight, before)


def test_the_whitening_bias_learns_for_three_epochs_at_the_base_learning_rate_except_with_muon():
    net = create_model("airbench-tiny", num_classes=10)
    bias = net.whitening.bias
    assert [net.frozen_parameters(epoch) for epoch in (0, 2)] == [[], []]
    assert all(parameter is bias for epoch in (3, 9) for parameter in net.frozen_parameters(epoch))
    assert len(net.frozen_parameters(3)) == 1
    assert [len(net.base_lr_biases(name)) for name in ("sgd", "nesterov", "adamw", "muon")] == [1, 1, 1, 0]


def test_a_model_without_wishes_trains_as_it_is():
    model = Classifier()
    assert model.frozen_parameters(100) == model.base_lr_biases("sgd") == []
