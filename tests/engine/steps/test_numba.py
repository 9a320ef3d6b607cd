"""numba's steps beside PyTorch's: the same updates, to within the rounding of float32."""

import math
import os
import statistics
import subprocess
import sys
import time

import pytest
import torch

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.numba.runner import NumbaSteps
from tests.engine.made_training import make_parts

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-6
"""Of every weight, every loss, and every momentum times the learning rate, as the weights receive it.

It holds until rounding decides which of two almost equal pixels wins a pooling window, or whether a ReLU is
just above 0: from there the two go apart, as any two orders of summation do, on noise after some hundred
steps.
"""


class Side:
    """A model trained by one kind of steps, with every loss."""

    def __init__(self, kind, split, *, classes=10, change=None, **settings):
        parts = make_parts(split, classes=classes, seed=5, **settings)
        self.net, self.optimizer = parts.net, parts.optimizer
        if change is not None:
            with torch.no_grad():
                change(self.net)
        self.runner = kind(parts)
        self.learning_rate = parts.config.learning_rate
        self.losses, self.correct, self.images = [], 0, 0

    def train(self, order, max_steps=50):
        for result in self.runner.run(order, step=0, max_steps=lambda: max_steps):
            self.losses += result.losses.tolist()
            self.correct += int(result.correct)
            self.images += result.images
        return self

    def tensors(self):
        """Weights, and momentum where there is any, by name."""
        named = dict(self.net.named_parameters())
        states = {
            f"{name} {key}": value
            for name, parameter in named.items()
            for key, value in self.optimizer.state[parameter].items()
        }
        return {
            name: None if tensor is None else tensor.detach() for name, tensor in {**named, **states}.items()
        }


def order_of(split, images):
    generator = torch.Generator().manual_seed(9)
    return torch.cat(
        [torch.randperm(len(split), generator=generator) for _ in range(1 + images // len(split))]
    )[:images]


def trained(split, *, images=800, **settings):
    order = order_of(split, images)
    return [Side(kind, split, **settings).train(order) for kind in (EagerSteps, NumbaSteps)]


def largest_difference(eager, fast):
    tensors, others = eager.tensors(), fast.tensors()
    assert tensors.keys() == others.keys()
    differences = [
        float((tensor - others[name]).abs().max()) * (fast.learning_rate if "momentum" in name else 1)
        for name, tensor in tensors.items()
        if tensor is not None
    ]
    losses = [abs(a - b) for a, b in zip(eager.losses, fast.losses, strict=True)]
    return max(differences + losses)


def of_classes(split, classes):
    return ImageSplit(images=split.images, targets=split.targets % classes)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.01, "images": 400},
        {"momentum": 0.0, "images": 400},
        {"momentum": 0.0, "weight_decay": 0.01, "images": 200},
        {"batch_size": 1, "images": 100},
        {"batch_size": 7, "images": 140},
        {"batch_size": 64, "images": 640},
        {"classes": 2, "images": 200},
        {"classes": 3, "images": 200},
        {"classes": 37, "images": 200},
    ],
    ids=str,
)
def test_weights_momentum_and_losses_are_those_of_eager_steps(noise_dataset, settings):
    split = of_classes(noise_dataset.train, settings.get("classes", 10))
    eager, fast = trained(split, **settings)
    difference = largest_difference(eager, fast)
    print(f"largest difference after {len(fast.losses)} steps: {difference:.1e}")
    assert difference < TOLERANCE
    assert (fast.correct, fast.images) == (eager.correct, eager.images)


def test_the_last_batch_may_be_smaller(noise_dataset):
    eager, fast = trained(noise_dataset.train, images=403, batch_size=8)
    assert len(fast.losses) == 51
    assert fast.images == 403
    assert largest_difference(eager, fast) < TOLERANCE


def all_equal(value):
    """Both convolutions give `value` everywhere: every pooling window has four equal values."""

    def change(net):
        for layer in (net.conv1, net.conv2):
            layer.weight.zero_()
            layer.bias.fill_(value)

    return change


def test_of_equal_values_in_a_pooling_window_the_first_wins(noise_dataset):
    eager, fast = trained(noise_dataset.train, images=4, change=all_equal(0.3), learning_rate=1.0)
    assert eager.net.conv2.weight.abs().max() > 0
    assert largest_difference(eager, fast) < TOLERANCE
    torch.testing.assert_close(fast.net.conv2.weight, eager.net.conv2.weight, atol=1e-8, rtol=1e-5)


def test_winners_are_told_apart_in_both_layers(noise_dataset):
    def only_the_second_sees(net):
        all_equal(0.3)(net)
        net.conv2.weight.normal_(std=0.1)

    eager, fast = trained(noise_dataset.train, images=4, change=only_the_second_sees, learning_rate=0.5)
    assert eager.net.conv1.weight.abs().max() > 0
    torch.testing.assert_close(fast.net.conv1.weight, eager.net.conv1.weight, atol=1e-8, rtol=1e-4)


def test_nothing_goes_back_through_a_relu_at_exactly_0(noise_dataset):
    for side in trained(noise_dataset.train, images=4, change=all_equal(0.0), learning_rate=1.0):
        assert side.net.conv1.weight.abs().max() == 0
        assert side.net.conv2.weight.abs().max() == 0
        assert side.net.conv2.bias.abs().max() == 0


NAMES = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc1.weight", "fc3.bias"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_is_finite_only_where_it_is_with_eager_steps(noise_dataset, value):
    for name in NAMES:

        def change(net, name=name):
            net.get_parameter(name).view(-1)[0] = value

        eager, fast = trained(noise_dataset.train, images=8, change=change)
        expected = [math.isfinite(loss) for loss in eager.losses]
        assert [math.isfinite(loss) for loss in fast.losses] == expected, name


def test_a_training_that_diverges_has_a_loss_that_is_not_finite(noise_dataset):
    eager, fast = trained(noise_dataset.train, images=80, learning_rate=100.0)
    assert not math.isfinite(eager.losses[-1])
    assert not math.isfinite(fast.losses[-1])


def test_the_number_of_steps_per_call_changes_no_bit(noise_dataset):
    order = order_of(noise_dataset.train, 400)
    one, many = (Side(NumbaSteps, noise_dataset.train).train(order, steps) for steps in (1, 1000))
    assert one.losses == many.losses
    for name, tensor in one.tensors().items():
        assert torch.equal(tensor, many.tensors()[name])


@pytest.mark.alone
def test_no_call_is_long(noise_dataset):
    """However many steps are left, a pause, a save or a stop need not wait for them."""
    order = order_of(noise_dataset.train, 3200)
    side = Side(NumbaSteps, noise_dataset.train, batch_size=64)
    durations, started = [], time.perf_counter()
    for _ in side.runner.run(order, step=0, max_steps=lambda: 10**9):
        durations.append(time.perf_counter() - started)
        started = time.perf_counter()
    assert statistics.median(durations) < 0.05


@pytest.mark.parametrize("first", [EagerSteps, NumbaSteps])
def test_a_training_may_continue_with_the_other_kind(noise_dataset, first):
    order = order_of(noise_dataset.train, 400)
    reference = Side(EagerSteps, noise_dataset.train).train(order)
    side = Side(first, noise_dataset.train).train(order[:200])
    other = Side({EagerSteps: NumbaSteps, NumbaSteps: EagerSteps}[first], noise_dataset.train)
    other.net.load_state_dict(side.net.state_dict())
    other.optimizer.load_state_dict(side.optimizer.state_dict())
    other.train(order[200:])
    other.losses = side.losses + other.losses
    assert largest_difference(reference, other) < TOLERANCE


def test_momentum_is_the_optimizers_from_the_first_step_on(noise_dataset):
    side = Side(NumbaSteps, noise_dataset.train)
    side.runner.prepare(lambda: False)
    assert not side.optimizer.state
    before = side.net.fc3.weight.detach().clone()
    side.train(torch.arange(4))
    moved = (before - side.net.fc3.weight.detach()) / 0.001
    torch.testing.assert_close(
        side.optimizer.state[side.net.fc3.weight]["momentum_buffer"], moved, atol=1e-4, rtol=0
    )


PREPARED_TWICE = """
import resource, signal, torch
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.steps.numba.runner import NumbaSteps
from tests.engine.made_training import make_parts
images, targets = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
steps = NumbaSteps(make_parts(ImageSplit(images=images, targets=targets)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
looks = []
steps.prepare(lambda: len(looks) > 2 or bool(looks.append(1)))
assert len(looks) == 3, looks
steps.prepare(lambda: False)
(result,) = steps.run(torch.arange(4), step=0, max_steps=lambda: 1)
assert 2 < result.losses.item() < 3
"""


def run_python(code, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_compiling_can_be_cancelled_and_needs_no_room_on_the_disk(tmp_path):
    result = run_python(PREPARED_TWICE, tmp_path / "cache")
    assert result.returncode == 0, result.stderr
    assert not list((tmp_path / "cache").rglob("*.nbc"))


def test_without_a_place_for_its_cache_it_is_compiled_all_the_same(tmp_path):
    code = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
caching.CompileResultCacheImpl._locator_classes = []
from cifar_tui.engine.steps.numba.net import train_steps
assert not train_steps.stats.cache_path
"""
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr
