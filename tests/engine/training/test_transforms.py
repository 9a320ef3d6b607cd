"""Torchvision's transforms and mixing in training, beside plain PyTorch that calls them itself."""

import dataclasses

import pytest
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit, normalize
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import LossPoint, Message
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.select import resolve_backend
from cifar_tui.engine.training.augment import Augmentation, augment, sample_augmentation
from cifar_tui.engine.training.class_balance import balanced_weights
from cifar_tui.engine.training.transforms import Transforms, dominant, mixing
from tests.engine.made_session import Run
from tests.engine.made_training import MadeTraining, first_images, losses, make_parts
from tests.engine.steps.test_tutorial_equality import assert_same_bits

CPU = torch.device("cpu")
SETTINGS = {"random_resized_crop": 0.25, "rand_augment": 9, "color_jitter": 0.4, "mixup": 0.2, "cutmix": 1.0}


def smooth_images(count, size):
    """Images of soft colours, which a crop changes without turning them into noise."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand((count, 3, 4, 4), generator=generator)
    return (nn.functional.interpolate(coarse, size=size, mode="bilinear") * 255).to(torch.uint8)


def params_of(augmentation, count, *, size=32, seed=0, epoch=0):
    return sample_augmentation(augmentation, count, size=size, seed=seed, epoch=epoch, device=CPU)


def changed_by_torchvision(images, seeds, transforms):
    changed = []
    for image, seed in zip(images, seeds.tolist(), strict=True):
        torch.manual_seed(seed)
        changed.append(v2.Compose(transforms)(image))
    return torch.stack(changed)


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize(
    ("settings", "reference", "exact"),
    [
        (
            {"random_resized_crop": 0.25},
            lambda size: [v2.RandomResizedCrop(size, scale=(0.25, 1), ratio=(3 / 4, 4 / 3))],
            0.7,
        ),
        ({"rand_augment": 9}, lambda _: [v2.RandAugment(num_ops=2, magnitude=9)], 1),
        (
            {"color_jitter": 0.4},
            lambda _: [v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
            0.998,
        ),
    ],
    ids=["random_resized_crop", "rand_augment", "color_jitter"],
)
def test_each_image_is_changed_as_torchvision_changes_it_after_seeding(settings, reference, exact, size):
    images = smooth_images(40, size)
    augmentation = Augmentation(transforms=Transforms(**settings))
    params = params_of(augmentation, 40, size=size, seed=3, epoch=1)
    expected = changed_by_torchvision(images, params.image_seeds, reference(size)).int()
    changed = augmentation.transforms.apply(images, params.image_seeds)
    levels = (changed.int() - expected).abs()
    assert (levels == 0).float().mean() >= exact
    assert (levels <= 1).float().mean() >= 0.995
    assert levels.max() <= 4
    assert ((changed.int() - images.int()).abs() > 4).flatten(1).any(dim=1).sum() >= 20
    split = ImageSplit(images=images, targets=torch.zeros(40, dtype=torch.int64))
    assert torch.equal(augment(split, torch.arange(40), params, augmentation), normalize(changed))


def test_the_transforms_of_an_image_draw_one_after_the_other_as_in_torchvision():
    images, seeds = smooth_images(40, 32), torch.arange(40) * 11
    transforms = Transforms(random_resized_crop=0.5, rand_augment=5, color_jitter=0.2)
    reference = [
        v2.RandomResizedCrop(32, scale=(0.5, 1)),
        v2.RandAugment(2, 5),
        v2.ColorJitter(0.2, 0.2, 0.2, 0.05),
    ]
    levels = (transforms.apply(images, seeds).int() - changed_by_torchvision(images, seeds, reference)).abs()
    # an operation such as equalize makes more of a level; another draw would be another image
    assert (levels.flatten(1).float().mean(dim=1) < 2).float().mean() >= 0.9


@pytest.mark.parametrize("name", ["random_resized_crop", "rand_augment", "color_jitter"])
def test_an_image_differs_from_epoch_to_epoch_and_from_a_copy_of_it(name):
    images = smooth_images(1, 32).expand(40, -1, -1, -1)
    split = ImageSplit(images=images, targets=torch.zeros(40, dtype=torch.int64))
    augmentation = Augmentation(transforms=Transforms(**{name: SETTINGS[name]}))

    def inputs(which, *, epoch=0, seed=0):
        return augment(split, which, params_of(augmentation, 40, epoch=epoch, seed=seed), augmentation)

    everything = torch.arange(40)
    first = inputs(everything)
    assert len(first.flatten(1).unique(dim=0)) > 20, "not one change for the whole batch"
    assert not torch.equal(first, inputs(everything, epoch=1))
    assert not torch.equal(first, inputs(everything, seed=1))
    some = torch.tensor([7, 3, 30])
    assert torch.equal(first[some], inputs(some)), "whatever batch it is in"
    twice = augment(
        split, torch.tensor([7, 7]), params_of(augmentation, 40), augmentation, draws=torch.tensor([7, 8])
    )
    assert not torch.equal(twice[0], twice[1]), "an epoch that repeats an image changes it again"


def test_without_them_nothing_is_drawn_and_the_other_draws_stay_the_same_with_them():
    plain = Augmentation(translate=2, flip="random", cutout=4)
    more = dataclasses.replace(plain, transforms=Transforms(color_jitter=0.1), mixes=True)
    before, after = params_of(plain, 50, epoch=2), params_of(more, 50, epoch=2)
    assert before.image_seeds is before.batch_seeds is None
    for name in ("offsets", "flips", "corners"):
        assert torch.equal(getattr(before, name), getattr(after, name))


def plain_loop(split, *, epochs, change=None, mix=None, weight=None, smoothing=0.0):
    """The tutorial's loop with v2 transforms in it: the net, every loss, and the correct predictions."""
    torch.manual_seed(0)
    net = create_model("net", num_classes=10)
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=smoothing)
    places = torch.arange(len(split))
    loader = DataLoader(TensorDataset(places, split.images, split.targets), batch_size=4, shuffle=True)
    every_loss, correct = [], 0
    for epoch in range(epochs):
        params = params_of(Augmentation(mixes=True), len(split), epoch=epoch)
        for number, (which, images, labels) in enumerate(loader):
            state = torch.get_rng_state()
            if change is not None:
                changed = []
                for image, seed in zip(images, params.image_seeds[which].tolist(), strict=True):
                    torch.manual_seed(seed)
                    changed.append(change(image))
                images = torch.stack(changed)
            inputs, classes = normalize(images), labels
            if mix is not None:
                torch.manual_seed(int(params.batch_seeds[number]))
                inputs, labels = mix(inputs, labels)
                classes = labels.argmax(1)
            torch.set_rng_state(state)
            optimizer.zero_grad()
            logits = net(inputs)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            every_loss.append(loss.item())
            correct += int((logits.argmax(1) == classes).sum())
    return net, every_loss, correct


MIXES = {
    "mixup": lambda: v2.MixUp(alpha=0.2, num_classes=10),
    "cutmix": lambda: v2.CutMix(alpha=1.0, num_classes=10),
    "both": lambda: v2.RandomChoice(
        [v2.MixUp(alpha=0.2, num_classes=10), v2.CutMix(alpha=1.0, num_classes=10)]
    ),
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("balanced", [False, True], ids=["", "class weights"])
@pytest.mark.parametrize("kind", MIXES)
def test_training_on_mixed_batches_has_the_bits_of_a_plain_loop(noise_dataset, tmp_path, kind, balanced):
    few = first_images(noise_dataset, 100)
    weight = balanced_weights(few.train.targets, 10).float() if balanced else None
    net, every_loss, correct = plain_loop(
        few.train, epochs=2, mix=MIXES[kind](), weight=weight, smoothing=0.1
    )
    settings = {name: SETTINGS[name] for name in ("mixup", "cutmix") if kind in {name, "both"}}
    run = MadeTraining(
        few,
        tmp_path,
        epochs=2,
        chart_every=1,
        label_smoothing=0.1,
        class_weights="balanced" if balanced else "none",
        **settings,
    )
    run.trainer.fit()
    points = run.of(LossPoint)
    assert [point.loss for point in points] == every_loss
    assert round(sum(point.accuracy * point.images for point in points)) == correct
    assert_same_bits(run.net, net)


@pytest.mark.usefixtures("one_thread")
def test_training_on_changed_images_has_the_bits_of_a_plain_loop(noise_dataset, tmp_path):
    few = first_images(noise_dataset, 60)
    net, every_loss, _ = plain_loop(few.train, epochs=2, change=v2.RandAugment(2, 9))
    run = MadeTraining(few, tmp_path, epochs=2, chart_every=1, rand_augment=9)
    run.trainer.fit()
    assert [point.loss for point in run.of(LossPoint)] == every_loss
    assert_same_bits(run.net, net)


@pytest.mark.parametrize("sampler", ["shuffle", "weighted"])
def test_a_run_resumed_within_an_epoch_equals_the_uninterrupted_one(tmp_path, image_folder, sampler):
    recipe = {
        "batch_size": 3,
        "chart_every": 1,
        "epochs": 2,
        "sampler": sampler,
        "flip": "random",
        **SETTINGS,
    }
    whole = Run(tmp_path / "whole", data=image_folder, **recipe)
    whole.train()

    def stop(run, event):
        if isinstance(event, LossPoint) and event.step == 11:  # the third batch of the second epoch
            run.control.request("stop")

    stopped = Run(tmp_path / "part", data=image_folder, on_event=stop, **recipe)
    assert stopped.train().step == 11
    state = torch.load(tmp_path / "part" / "run" / "last.pt", weights_only=True)
    resumed = Run(tmp_path / "part", data=image_folder, **recipe)
    torch.manual_seed(99)
    resumed.train(resume_from=state)
    assert [point.loss for point in (*stopped.of(LossPoint), *resumed.of(LossPoint))] == [
        point.loss for point in whole.of(LossPoint)
    ]
    expected = torch.load(tmp_path / "whole" / "run" / "cifar_net.pth", weights_only=True)
    for name, tensor in torch.load(tmp_path / "part" / "run" / "cifar_net.pth", weights_only=True).items():
        assert torch.equal(tensor, expected[name]), name


def test_dropout_and_order_draw_the_same_numbers_with_and_without_them(noise_dataset):
    torch.manual_seed(4)
    drawn = []
    for settings in ({}, SETTINGS):
        runner = EagerSteps(make_parts(noise_dataset.train, batch_size=8, **settings))
        torch.manual_seed(4)
        losses(runner, torch.arange(24))
        drawn.append(torch.get_rng_state())
    assert torch.equal(*drawn)


def test_a_mixed_image_counts_as_the_class_with_the_larger_share():
    assert dominant(torch.tensor([2, 0, 1])).tolist() == [2, 0, 1]
    assert dominant(torch.tensor([[0.3, 0.7], [0.9, 0.1]])).tolist() == [1, 0]


def test_nothing_is_mixed_unless_it_is_set():
    assert mixing(mixup=0.0, cutmix=0.0, num_classes=10) is None
    assert not Transforms()


def test_the_log_says_how_the_training_accuracy_of_mixed_images_is_counted(tmp_path, image_folder):
    for settings, said in (({"mixup": 0.2}, True), ({"color_jitter": 0.2}, False)):
        run = Run(tmp_path, data=image_folder, epochs=1, batch_size=8, **settings)
        run.train()
        assert said == any("the class with the larger share" in event.text for event in run.of(Message))


@pytest.mark.parametrize("name", SETTINGS)
def test_only_eager_steps_take_them(name):
    config = TrainConfig(**{name: SETTINGS[name]})
    assert resolve_backend(config, CPU, images=10**6).backend.name == "eager"
    with pytest.raises(ConfigError, match=f"numba does not support {name}"):
        resolve_backend(config.replace(backend="numba"), CPU, images=10**6)


@pytest.mark.parametrize(
    "wrong",
    [{"random_resized_crop": 1.1}, {"rand_augment": 31}, {"color_jitter": -0.1}, {"mixup": 11.0}],
    ids=str,
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TrainConfig(**wrong)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "airbench-tiny", "low_res_fraction": 0.6, "channels_last": True, "batch_size": 8},
        {"image_size": 48, "model": "resnet18", "batch_size": 8, "translate": 4},
    ],
    ids=str,
)
def test_they_go_with_other_settings(tmp_path, image_folder, settings):
    run = Run(tmp_path, data=image_folder, **{"epochs": 2, **settings, **SETTINGS})
    assert run.train().completed
