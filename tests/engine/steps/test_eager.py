"""`EagerSteps`: the same steps however many make a result, and where compiling fails."""

import dataclasses
import itertools

import pytest
import torch

from cifar_tui.engine.device.precision import loss_scale
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.steps import eager
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_training import make_parts

IMAGES, BATCH = 43, 4


def train(split, max_steps):
    """The results of an epoch, and the weights after it."""
    parts = make_parts(split, learning_rate=0.1, batch_size=BATCH)
    results = list(EagerSteps(parts).run(torch.arange(IMAGES), step=0, max_steps=max_steps))
    return results, [parameter.detach() for parameter in parts.net.parameters()]


@pytest.fixture
def plenty_of_time(monkeypatch):
    monkeypatch.setattr(eager, "_RESULT_SECONDS", 60.0)


@pytest.mark.usefixtures("plenty_of_time")
@pytest.mark.parametrize(("most", "lengths"), [(4, [4, 4, 3]), (11, [11]), (100, [11])])
def test_many_steps_to_a_result_are_the_same_steps(noise_dataset, most, lengths):
    single, weights = train(noise_dataset.train, lambda: 1)
    together, other_weights = train(noise_dataset.train, lambda: most)
    assert [len(result.losses) for result in single] == [1] * 11
    assert [len(result.losses) for result in together] == lengths
    assert torch.equal(*(torch.cat([r.losses for r in results]) for results in (single, together)))
    assert all(map(torch.equal, weights, other_weights))
    ends = itertools.accumulate(lengths)
    for result, end in zip(together, ends, strict=True):
        parts = single[end - len(result.losses) : end]
        assert result.correct == sum(part.correct for part in parts)
        assert result.images == sum(part.images for part in parts)


@pytest.mark.usefixtures("plenty_of_time")
def test_each_result_asks_how_many_steps_it_may_cover(noise_dataset):
    allowed = iter([2, 5, 1, 3])
    results, _ = train(noise_dataset.train, lambda: next(allowed))
    assert [len(result.losses) for result in results] == [2, 5, 1, 3]


def test_a_result_ends_when_its_time_is_over(noise_dataset, monkeypatch):
    monkeypatch.setattr(eager, "_RESULT_SECONDS", 0.0)
    results, _ = train(noise_dataset.train, lambda: 100)
    assert [len(result.losses) for result in results] == [1] * 11


@pytest.mark.usefixtures("plenty_of_time")
def test_steps_before_one_that_fails_are_a_result(noise_dataset, monkeypatch):
    """What counts steps then agrees with the weights."""
    parts = make_parts(noise_dataset.train, learning_rate=0.1, batch_size=BATCH)
    train_step = EagerSteps.train_step

    def fail_at_the_seventh(steps, inputs, targets):
        if steps._step == 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train_step(steps, inputs, targets)

    monkeypatch.setattr(EagerSteps, "train_step", fail_at_the_seventh)
    results = EagerSteps(parts).run(torch.arange(IMAGES), step=0, max_steps=lambda: 4)
    assert [len(next(results).losses) for _ in range(2)] == [4, 2]
    with pytest.raises(torch.OutOfMemoryError):
        next(results)


def test_at_most_two_steps_are_in_flight(noise_dataset):
    """On a GPU, where a pause waits for them."""
    log, parts = [], make_parts(noise_dataset.train, batch_size=BATCH)

    class Limit:
        def __enter__(self):
            log.append("room")

        def __exit__(self, *_):
            log.append("launched")

    steps = EagerSteps(parts)
    steps._limit = Limit()
    list(steps.run(torch.arange(12), step=0, max_steps=lambda: 3))
    assert log == ["room", "launched"] * 3


def test_gradients_in_fp16_are_finite_where_those_of_1024_times_the_loss_are_not():
    """A bias adds up the gradients of all pixels."""
    inputs, targets = torch.ones(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64)
    finite = {}
    for scale in (1024.0, loss_scale("fp16", 4)):
        net = torch.nn.Conv2d(3, 2, 1).half()
        logits = net(inputs.half()).sum(dim=(2, 3)).float()
        torch.autograd.backward(torch.nn.functional.cross_entropy(logits / 1024, targets) * 1024 * scale)
        finite[scale] = bool(net.bias.grad.isfinite().all())
    assert finite == {1024.0: False, 4.0: True}


@pytest.fixture
def broken_compiler():
    """torch.compile finds no working C++ compiler."""
    with torch._inductor.config.patch({"cpp.cxx": (None, "/bin/false")}):
        yield


@pytest.mark.usefixtures("broken_compiler")
def test_compiling_that_was_asked_for_and_fails_is_one_sentence(noise_dataset):
    steps = EagerSteps(make_parts(noise_dataset.train, batch_size=84, compile="yes"))
    with pytest.raises(ConfigError) as refused:
        steps.prepare(lambda: False)
    assert refused.value.field == "compile"
    sentence = str(refused.value)
    assert sentence.startswith("compile 'yes' is not available: torch.compile failed (No working C++")
    assert sentence.endswith("); set compile to 'no'")
    assert "\n" not in sentence


@pytest.mark.usefixtures("broken_compiler")
def test_a_model_that_cannot_be_compiled_trains_uncompiled(noise_dataset, monkeypatch):
    monkeypatch.setattr(eager, "compiles", lambda config, device: True)
    logged = []
    parts = make_parts(noise_dataset.train, batch_size=84, compile="auto")
    steps = EagerSteps(dataclasses.replace(parts, log=logged.append))
    before = {name: tensor.clone() for name, tensor in parts.net.state_dict().items()}
    steps.prepare(lambda: False)
    (sentence,) = logged
    assert sentence.startswith("torch.compile failed (No working C++ compiler")
    assert all(torch.equal(tensor, before[name]) for name, tensor in parts.net.state_dict().items())
    assert all(parameter.grad is None for parameter in parts.net.parameters())
    (result,) = steps.run(torch.arange(84), step=0, max_steps=lambda: 1)
    assert bool(result.losses.isfinite().all())
