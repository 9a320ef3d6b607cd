"""The nearest images are those that a plain loop finds."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from cifar_tui.engine.config.schema import preset_values
from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.errors import CancelledError, RunFailedError
from cifar_tui.engine.evaluation import neighbours
from cifar_tui.engine.evaluation.neighbours import nearest
from cifar_tui.engine.models.registry import create_model

FAMILIES = ("net", preset_values("quick")["model"])


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(neighbours, "BATCH_SIZE", 4)
    monkeypatch.setattr(neighbours, "_COMPARED", 3)


def images_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def last_features(net, images, **others):
    split = ImageSplit(images=images, targets=torch.zeros(len(images), dtype=torch.int64))
    return neighbours.last_features(net, split, **others)


def headless(net):
    """A copy of `net` whose last linear layer returns its input."""
    without = copy.deepcopy(net).eval()
    name = [name for name, module in without.named_modules() if isinstance(module, nn.Linear)][-1]
    setattr(without, name, nn.Identity())
    return without


@pytest.mark.parametrize("model", dict.fromkeys(FAMILIES))
def test_they_are_those_of_a_plain_loop_over_every_model(model, small_batches):
    torch.manual_seed(0)
    net = create_model(model, num_classes=5)
    train, test, without = images_of(6), images_of(2, seed=1), headless(net)
    with torch.no_grad():
        plain = [[without(normalize(image[None]))[0] for image in part] for part in (train, test)]
    features = [last_features(net, part) for part in (train, test)]
    assert features[0].dtype is torch.float16
    for wanted, feature in zip(plain[1], features[1], strict=True):
        indices, similarities = nearest(feature, features[0], 4)
        cosines = torch.stack([functional.cosine_similarity(wanted, other, dim=0) for other in plain[0]])
        # in float16, ones as near as to the last digit may change places
        assert torch.allclose(cosines[indices], cosines.sort(descending=True).values[:4], atol=2e-3)
        assert torch.allclose(cosines[indices], similarities, atol=2e-3)
        assert len(set(indices.tolist())) == 4
        assert (similarities.diff() <= 0).all()


def test_an_image_is_nearest_to_itself_and_then_to_its_copy(small_batches):
    torch.manual_seed(0)
    images = images_of(9)
    images[7] = images[2]
    features = last_features(create_model("net", num_classes=3), images)
    found = [nearest(feature, features, 2) for feature in features]
    assert [sorted(found[place][0].tolist()) for place in (2, 7)] == [[2, 7], [2, 7]]
    assert [int(found[place][0][0]) for place in (0, 1, 3, 4, 5, 6, 8)] == [0, 1, 3, 4, 5, 6, 8]
    assert all(abs(float(similarities[0]) - 1) < 2e-3 for _, similarities in found)


def test_there_may_be_fewer_than_asked_for_and_none(small_batches):
    net = create_model("net", num_classes=3)
    features = last_features(net, images_of(5))
    assert sorted(nearest(features[0], features, 9)[0].tolist()) == [0, 1, 2, 3, 4]
    assert nearest(features[0], features[:0], 9)[0].tolist() == []
    assert last_features(net, images_of(0)).shape == (0, 84)


def test_the_model_is_left_as_it_was():
    net = create_model(FAMILIES[-1], num_classes=3)  # which keeps statistics of its batches
    before = copy.deepcopy(net.state_dict())
    last_features(net, images_of(3))
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_pre_hooks for module in net.modules())


class Gated(nn.Module):
    """A network with linear layers inside, whose last layer is a convolution."""

    def __init__(self):
        super().__init__()
        self.gate, self.head = nn.Linear(3, 3), nn.Conv2d(3, 5, 1)

    def forward(self, inputs):
        gated = inputs * self.gate(inputs.mean(dim=(2, 3)))[:, :, None, None]
        return self.head(gated).mean(dim=(2, 3))


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(3, 2, 32), nn.Flatten()), Gated()])
def test_a_model_whose_last_layer_is_not_linear_has_no_features(net):
    assert last_features(net, images_of(2)) is None
    assert not any(module._forward_pre_hooks for module in net.modules())


class Squeezing(nn.Module):
    """A network that takes a single image for no batch."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, inputs):
        return self.head(inputs.mean(dim=(2, 3)).squeeze())


def test_a_single_image_is_never_a_batch(small_batches):
    features = last_features(Squeezing(), images_of(5))
    assert features.shape == (5, 3)
    assert torch.equal(last_features(Squeezing(), images_of(5)[4:])[0], features[4])


def test_features_that_are_not_finite_are_near_to_nothing():
    net = create_model("net", num_classes=3)
    nn.init.constant_(net.fc1.weight, 1e38)
    with pytest.raises(RunFailedError, match=r"features of the last layer are not finite.*: use precision"):
        last_features(net, images_of(2))


def test_progress_counts_images_and_can_stop(small_batches):
    net, done = create_model("net", num_classes=3), []
    last_features(net, images_of(9), progress=done.append)
    assert done == [4, 8, 9]

    def stop(_):
        raise CancelledError

    with pytest.raises(CancelledError):
        last_features(net, images_of(9), progress=stop)
    assert not any(module._forward_pre_hooks for module in net.modules())
