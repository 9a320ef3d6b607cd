"""Classes are matched by name: in any order, in NFC, by the two names of a class of CIFAR-10."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_tui.engine.data.class_names import align_classes, listed, match_dataset
from cifar_tui.engine.data.dataset import Dataset, ImageSplit
from cifar_tui.engine.errors import ConfigError

CIFAR = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OFFICIAL = ("airplane", "automobile", *CIFAR[2:])


def dataset_of(*names):
    """One image of each class, whose every pixel is the index of its class among `names`."""
    images = torch.arange(len(names), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    split = ImageSplit(images=images, targets=torch.arange(len(names)))
    return Dataset(title="pictures", synthetic=False, class_names=names, train=split, test=split)


def match(names, dataset, *, complete=False, assume_order=False):
    return match_dataset(dataset, names, owner="'w.pth'", complete=complete, assume_order=assume_order)


def named_by_image(dataset):
    """The class name of each test image, by the name it had at first."""
    return {
        int(image[0, 0, 0]): dataset.class_names[target]
        for image, target in zip(dataset.test.images, dataset.test.targets.tolist(), strict=True)
    }


@given(st.permutations(CIFAR))
def test_the_same_names_in_any_order_get_the_weights_order(names):
    dataset, notes = match(CIFAR, dataset_of(*names))
    assert (dataset.class_names, notes) == (CIFAR, [])
    assert named_by_image(dataset) == dict(enumerate(names))


@given(st.permutations(OFFICIAL))
def test_the_official_names_of_cifar_10_are_the_tutorials_and_that_is_said(names):
    dataset, notes = match(CIFAR, dataset_of(*names))
    assert dataset.class_names == CIFAR
    aliases = {"airplane": "plane", "automobile": "car"}
    assert named_by_image(dataset) == {k: aliases.get(name, name) for k, name in enumerate(names)}
    (note,) = notes
    assert "airplane is plane" in note
    assert "automobile is car" in note
    back, _ = match(names, dataset_of(*CIFAR))
    assert named_by_image(back)[0] == "airplane"


def test_a_dataset_that_has_both_names_of_a_class_is_not_guessed_at():
    assert align_classes(("plane", "car"), ("airplane", "plane")) is None
    assert align_classes(("plane", "airplane"), ("airplane", "plane")).positions == (1, 0)
    assert align_classes(("car", "plane"), ("automobile", "airplane")).positions == (0, 1)
    assert align_classes(("plane", "airplane", "x"), ("x", "plane")).positions == (2, 0)


def test_names_are_compared_in_nfc():
    composed, decomposed = ("고양이", "café"), ("cafe\u0301", "\u1100\u1169\u110b\u1163\u11bc\u110b\u1175")
    dataset, notes = match(composed, dataset_of(*decomposed))
    assert (dataset.class_names, notes) == (composed, [])
    assert named_by_image(dataset) == {0: "café", 1: "고양이"}
    assert align_classes(composed, ("café", "cafe\u0301")) is None
    assert align_classes(("café", "cafe\u0301"), ("café", "x")) is None


@pytest.mark.parametrize(
    ("weights", "ours", "says"),
    [
        (("cat", "dog"), ("cat", "eel"), "only 'w.pth' has dog; only pictures has eel; use --data with"),
        (("cat", "dog"), ("Cat", "dog"), "rename 'Cat' to 'cat', from which it differs in case only"),
        (("cat", "dog"), ("cat", "dog", "eel"), "only pictures has eel"),
        (("plane", "car"), ("airplane", "plane"), "only 'w.pth' has car"),
        (("café", "cafe\u0301"), ("café", "x"), "only"),
        (tuple("abcdefgh"), tuple("ijklmnop"), "a, b, c, … (8); only pictures has i, j, k, … (8)"),
        (("x" * 300, "b"), ("a", "b"), f"only 'w.pth' has {'x' * 29}…; only pictures has a"),
    ],
)
def test_classes_that_differ_are_refused_with_both_lists_cut_short(weights, ours, says):
    with pytest.raises(ConfigError, match="the classes differ: ") as caught:
        match(weights, dataset_of(*ours))
    assert says in str(caught.value)
    assert ("--assume-class-order" in str(caught.value)) == (len(weights) == len(ours))


def test_a_refusal_can_be_overridden_where_there_are_as_many_classes():
    dataset, notes = match(("cat", "dog"), dataset_of("Katze", "dog"), assume_order=True)
    assert dataset.class_names == ("cat", "dog")
    assert named_by_image(dataset) == {0: "cat", 1: "dog"}
    assert notes == ["assuming that classes with other names have the same order: Katze is cat in 'w.pth'"]
    with pytest.raises(ConfigError):
        match(("cat", "dog"), dataset_of("cat", "dog", "eel"), assume_order=True)


def test_an_order_is_assumed_only_of_the_names_that_differ():
    weights, ours = ("airplane", "bird", "cat", "eel"), ("Cat", "airplane", "eel", "fowl")
    dataset, notes = match(weights, dataset_of(*ours), assume_order=True)
    assert named_by_image(dataset) == {0: "bird", 1: "airplane", 2: "eel", 3: "cat"}
    assert notes == [
        "assuming that classes with other names have the same order: Cat is bird, fowl is cat in 'w.pth'"
    ]
    dataset, _ = match(("café", "cafe\u0301"), dataset_of("cafe\u0301", "x"), assume_order=True)
    assert named_by_image(dataset) == {0: "café", 1: "cafe\u0301"}


def test_names_that_match_are_matched_also_where_an_order_could_be_assumed():
    dataset, notes = match(("cat", "dog"), dataset_of("dog", "cat"), assume_order=True)
    assert (named_by_image(dataset), notes) == ({0: "dog", 1: "cat"}, [])


def test_a_dataset_may_lack_classes_when_evaluated_but_not_when_training_resumes():
    dataset, notes = match(CIFAR, dataset_of("ship", "airplane"))
    assert dataset.class_names == CIFAR
    assert named_by_image(dataset) == {0: "ship", 1: "plane"}
    assert notes[-1].startswith("pictures lacks 8 of the 10 classes of 'w.pth' (car, bird, cat, … (8))")
    with pytest.raises(ConfigError, match=r"only 'w\.pth' has car, bird, cat, … \(8\)"):
        match(CIFAR, dataset_of("ship", "airplane"), complete=True)


def test_a_list_is_cut_short():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d"]) == "a, b, c, … (4)"
