"""`evaluate` against a plain loop, and the figures of its report."""

import math

import pytest
import torch
from torch import nn

from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.evaluation.evaluate import TOP_CLASSES, evaluate, predict
from cifar_tui.engine.models.registry import create_model


class FirstPixel(nn.Module):
    """Predicts the class given by the first pixel, with a logit of 1 against 0."""

    def forward(self, inputs):
        classes = ((inputs[:, 0, 0, 0] * 0.5 + 0.5) * 255).round().long()
        return nn.functional.one_hot(classes, 3).float()


class AllAlike(nn.Module):
    def forward(self, inputs):
        return torch.zeros(len(inputs), 3)


def split_of(predicted, targets):
    images = torch.zeros(len(targets), 3, 32, 32, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(predicted)
    return ImageSplit(images=images, targets=torch.tensor(targets))


def test_a_report_counts_by_class_and_by_confusion():
    split = split_of(predicted=[0, 1, 1, 2, 0, 0], targets=[0, 1, 1, 1, 1, 0])
    report = evaluate(FirstPixel(), split, ("a", "b", "c"))
    assert report.confusion.tolist() == [[2, 0, 0], [1, 2, 1], [0, 0, 0]], "rows are truth"
    assert (report.correct, report.total) == (4, 6)
    assert [(c.name, c.correct, c.total) for c in report.per_class] == [("a", 2, 2), ("b", 2, 4), ("c", 0, 0)]
    assert report.predicted.tolist() == [0, 1, 1, 2, 0, 0]
    right = math.e / (math.e + 2)
    assert report.confidences.tolist() == pytest.approx([right] * 6, abs=1e-6)


def test_a_class_without_test_images_has_no_accuracy():
    values = evaluate(FirstPixel(), split_of([0], [0]), ("a", "b", "c")).to_dict()
    assert values == {
        "accuracy": 1.0,
        "correct": 1,
        "total": 1,
        "per_class": {
            "a": {"correct": 1, "total": 1, "accuracy": 1.0},
            "b": {"correct": 0, "total": 0, "accuracy": None},
            "c": {"correct": 0, "total": 0, "accuracy": None},
        },
    }


def test_it_equals_a_plain_loop_over_single_images():
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    split = ImageSplit(
        images=torch.randint(256, (503, 3, 32, 32), dtype=torch.uint8), targets=torch.randint(10, (503,))
    )
    report = evaluate(net, split, tuple("abcdefghij"))
    with torch.no_grad(), intra_op_threads(1):
        logits = torch.cat([net(normalize(split.images[k : k + 1])) for k in range(503)])
    assert report.predicted.tolist() == logits.argmax(dim=1).tolist()
    assert report.loss == pytest.approx(nn.functional.cross_entropy(logits, split.targets).item(), rel=1e-5)
    expected = logits.softmax(dim=1).max(dim=1).values
    assert torch.allclose(report.confidences, expected, atol=1e-6)
    losses = nn.functional.cross_entropy(logits, split.targets, reduction="none")
    assert torch.allclose(report.losses, losses, rtol=1e-4)
    top = logits.softmax(dim=1).topk(TOP_CLASSES)
    assert torch.equal(report.top_classes, top.indices)
    assert torch.allclose(report.top_confidences, top.values, atol=1e-6)


def test_of_equal_outputs_the_first_class_is_predicted():
    report = evaluate(AllAlike(), split_of([0, 1], [0, 1]), ("a", "b", "c"))
    assert report.top_classes.tolist() == [[0, 1, 2]] * 2
    assert report.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_no_gradients_are_computed_and_the_mode_is_restored():
    net = create_model("net", num_classes=10).train()
    split = split_of([0] * 3, [0] * 3)
    evaluate(net, split, tuple("abcdefghij"))
    predict(net, split)
    assert net.training
    assert all(p.grad is None for p in net.parameters())


def test_evaluating_draws_no_random_number():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    net = FirstPixel()
    evaluate(net, split_of([0], [0]), ("a", "b", "c"))
    assert torch.equal(torch.get_rng_state(), state)


def test_it_reports_progress_and_can_be_cancelled():
    done = []
    split = split_of([0] * 1100, [0] * 1100)
    evaluate(FirstPixel(), split, ("a", "b", "c"), progress=done.append)
    assert [(event.done, event.batch) for event in done] == [(500, 1), (1000, 2), (1100, 3)]
    assert {(event.total, event.batches) for event in done} == {(1100, 3)}
    assert [event.correct for event in done] == [500, 1000, 1100]
    with pytest.raises(CancelledError):
        evaluate(FirstPixel(), split, ("a", "b", "c"), cancelled=lambda: True)
