"""Whole runs on images of 48x48 pixels: the bits of a plain loop, resumed, evaluated, predicted with."""

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from cifar_tui.engine.checkpoint.trained_on import TrainedOn, trained_on_in
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.normalization import IMAGENET, TUTORIAL
from cifar_tui.engine.device.select import intra_op_threads, training_threads
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.evaluation.predict import FilePredictor, load_classifier
from cifar_tui.engine.evaluation.training_index import index_training_images
from cifar_tui.engine.events import Alert, Evaluated, LossPoint, Message
from tests.engine.data.photos import expected_photo, write_photos
from tests.engine.made_session import Run
from tests.engine.models.own.nets import write_net

SIZE = 48
SOURCE = """
    from torch import nn


    def make_net(num_classes, image_size):
        side = image_size // 4
        return nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU(), nn.Flatten(),
                             nn.Linear(6 * side * side, num_classes))
"""
RECIPE = {"batch_size": 4, "learning_rate": 0.01, "epochs": 3, "chart_every": 1, "image_size": SIZE}


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", train=9, test=4, classes=3)


@pytest.fixture
def start(tmp_path, photos):
    """Makes runs of the net on the photos, each in a folder of its own."""
    model = f"{write_net(tmp_path, SOURCE)}:make_net"

    def start(name="run", **settings):
        run = Run(tmp_path, data=photos, model=model, **RECIPE | settings)
        run.folder = tmp_path / name
        return run

    return start


def losses(*runs):
    return [event.loss for run in runs for event in run.of(LossPoint)]


def plain_loop(photos, transform):
    """The tutorial's loop over the training photos: its net and the loss of each step."""
    files = sorted((photos / "train").rglob("*.png"))
    inputs = torch.stack([transform(expected_photo(file, SIZE).copy()) for file in files])
    targets = torch.tensor([int(file.parent.name[-1]) for file in files])
    torch.manual_seed(0)
    side = SIZE // 4
    net = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(6 * side * side, 3))
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    found = []
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=4, shuffle=True)
    with intra_op_threads(training_threads(torch.device("cpu"), 4)):
        for batch, labels in itertools.chain(loader, loader, loader):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(batch), labels)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    return net, found


def transform_of(photos, normalization):
    if normalization == "dataset":
        shades = np.stack([expected_photo(file, SIZE) for file in (photos / "train").rglob("*.png")]) / 255
        mean, std = shades.mean(axis=(0, 1, 2)), shades.std(axis=(0, 1, 2))
    elif normalization == "imagenet":
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    else:
        mean = std = (0.5, 0.5, 0.5)
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])


@pytest.mark.parametrize("normalization", ["auto", "tutorial", "imagenet", "dataset"])
def test_a_run_has_the_bits_of_a_plain_loop_over_images_of_this_size(photos, start, normalization):
    net, expected = plain_loop(photos, transform_of(photos, normalization))
    run = start(normalization=normalization)
    run.train()
    assert losses(run) == expected
    saved = torch.load(run.folder / "cifar_net.pth", weights_only=True)
    for name, tensor in net.state_dict().items():
        assert torch.equal(saved[name], tensor), name


def test_what_was_resized_and_what_the_inputs_are_is_said_once(start):
    run = start(normalization="dataset")
    run.train()
    said = [message.text for message in run.of(Message)]
    (resized,) = [text for text in said if "→" in text]
    assert resized.endswith("resized 120×90 → 48×48 (the centre square of all)")
    (inputs,) = [text for text in said if "deviation" in text]
    assert inputs.startswith("normalization dataset: inputs less mean 0.")


def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one_and_its_normalization(photos, start):
    whole = start("whole", normalization="dataset")
    whole.train()

    def stop(run, event):
        if isinstance(event, LossPoint) and event.step == 10:
            run.control.request("stop")

    first = start("parts", normalization="dataset", on_event=stop)
    first.train()
    state = torch.load(first.folder / "last.pt", weights_only=True)
    rest = start("parts", normalization="dataset")
    rest.train(resume_from=state)
    assert losses(first, rest) == losses(whole)
    assert rest.of(Alert) == []
    again = torch.load(rest.folder / "last.pt", weights_only=True)["normalization"]
    assert again == state["normalization"]
    assert torch.equal(
        torch.tensor(again["mean"]).float(), torch.tensor(state["normalization"]["mean"]).float()
    )


@pytest.mark.parametrize("name", ["cifar_net.pth", "last.pt", "elsewhere.pt"])
def test_an_evaluation_sees_images_as_the_training_did(tmp_path, photos, start, name):
    run = start(normalization="dataset")
    run.train()
    (run.folder / "config.toml").touch()
    final = run.of(Evaluated)[-1]
    weights = run.folder / name
    if name == "elsewhere.pt":
        weights = shutil.copy(run.folder / "last.pt", tmp_path / name)
    for file in (photos / "train" / "class0").glob("00[0-5].png"):
        file.unlink()  # the mean of the training images becomes another one
    again = start("again", image_size=32 if name == "elsewhere.pt" else SIZE)
    report = again.session.evaluate_file(weights)
    assert (report.correct, report.loss) == (final.correct, final.loss)
    said = [alert.text for alert in again.of(Alert) if "image_size" in alert.text]
    if name == "elsewhere.pt":
        assert said == ["images of 48×48 pixels, which the weights were trained on, instead of image_size 32"]
    else:
        assert said == []


def test_a_checkpoint_of_before_there_was_a_choice_has_inputs_from_minus_1_to_1(start):
    run = start()
    run.train()
    state = torch.load(run.folder / "last.pt", weights_only=True)
    del state["normalization"]
    assert trained_on_in(state).normalization == TUTORIAL
    again = start("again", epochs=4, normalization="imagenet")
    again.folder = run.folder
    again.train(resume_from=state)
    assert again.session.dataset.train.normalization == TUTORIAL


def test_a_run_whose_images_cannot_be_read_any_more_is_saved_and_resumed_as_if_nothing_had_happened(start):
    whole = start("whole")
    whole.train()

    def shorten(run, event):
        if isinstance(event, LossPoint) and event.step == 4:
            os.truncate(run.session.dataset.train.images.file.path, 0)

    run = start("run", on_event=shorten)
    with pytest.raises(DataUnavailableError) as raised:
        run.train()
    step = run.of(LossPoint)[-1].step
    assert str(raised.value).startswith(f"saved at step {step}; cannot read the decoded images in '")
    rest = start("run")
    rest.train(resume_from=torch.load(run.folder / "last.pt", weights_only=True))
    assert losses(run, rest) == losses(whole)


@pytest.mark.parametrize("size", [None, 0, 64.0, True, 10_000])
def test_a_size_that_no_run_has_is_not_known(size):
    state = {"config": {"image_size": size}, "scales": {}, "normalization": {"mean": 1}}
    assert trained_on_in(state) == TrainedOn(scales={})
    assert trained_on_in({"config": {}}).image_size == 32, "of before there was a choice"


def classified(classifier, paths):
    predictor = FilePredictor(
        classifier, TrainConfig(device="cpu"), top=1, say=print, report=print, cancelled=lambda: False
    )
    batches = list(predictor.predict(paths))
    assert predictor.notes()[0].endswith("→ 48×48 (the centre square of all)")
    return torch.cat([batch.classes[:, 0] for batch in batches])


def test_files_are_classified_as_the_evaluation_did(photos, start):
    run = start(normalization="dataset")
    run.train()
    (run.folder / "config.toml").touch()
    paths = [photos / file for file in run.session.dataset.test_files]
    classifier = load_classifier(run.folder / "last.pt", model=run.session.config.model)
    assert torch.equal(classified(classifier, paths), run.session.report.predicted)


def test_plain_weights_are_taken_with_the_size_and_the_normalization_of_the_settings(tmp_path, photos, start):
    run = start(normalization="imagenet")
    run.train()
    final = run.of(Evaluated)[-1]
    weights = shutil.copy(run.folder / "cifar_net.pth", tmp_path / "plain.pth")
    again = start("again", normalization="imagenet")
    report = again.session.evaluate_file(weights)
    assert (report.correct, report.loss) == (final.correct, final.loss)
    assumed = "assuming images of 48×48 pixels, and inputs less mean 0.485"
    assert any(assumed in alert.text for alert in again.of(Alert))
    other = start("other")
    assert other.session.evaluate_file(weights).loss != final.loss
    assert any("inputs from -1 to 1" in alert.text for alert in other.of(Alert))
    settings = {"model": run.session.config.model, "image_size": SIZE}
    paths = [photos / file for file in run.session.dataset.test_files]
    classifier = load_classifier(weights, normalization=IMAGENET, class_names="abc", **settings)
    assert torch.equal(classified(classifier, paths), run.session.report.predicted)
    with pytest.raises(ConfigError, match="does not say the mean and deviation of its training images"):
        load_classifier(weights, normalization=None, class_names="abc", **settings)


def test_the_nearest_images_are_searched_at_this_size(start):
    run = start(normalization="dataset", image_size=80)
    run.train()
    (run.folder / "config.toml").touch()
    dataset = run.session.dataset
    index = index_training_images(
        run.folder / "last.pt",
        run.session.config,
        model=run.session.config.model,
        dataset=None,
        gently=False,
        report=print,
        cancelled=lambda: False,
    )
    assert index.dataset.train.normalization == dataset.train.normalization
    image = dataset.test.take(slice(5, 6))[0].permute(1, 2, 0).numpy()
    shown = dataset.test.thumbnails(slice(5, 6))[0].permute(1, 2, 0).numpy()
    assert (len(image), len(shown)) == (80, 64)
    of_image, of_thumbnail = index.nearest(image, 3), index.nearest(shown, 3, place=5)
    assert [near.position for near in of_thumbnail] == [near.position for near in of_image]
    assert [near.similarity for near in of_thumbnail] == [near.similarity for near in of_image]
    assert of_image[0].image.shape == (64, 64, 3)
    with pytest.raises(Exception, match="test images have changed"):
        index.nearest(shown, 3, place=4)


def test_of_many_photos_few_are_in_memory_and_few_are_read_before_the_first_step(tmp_path, monkeypatch):
    photos, size = write_photos(tmp_path / "many", train=160, test=40), 384
    settings = {
        "model": f"{write_net(tmp_path, SOURCE)}:make_net",
        "image_size": size,
        "epochs": 1,
        "batch_size": 8,
        "eval_every": 0,
    }
    Run(tmp_path, data=photos, **settings).train()
    before, resident, read = [], [], [0]
    preadv = os.preadv

    def counted(descriptor, buffers, offset):
        read[0] += sum(map(len, buffers))
        return preadv(descriptor, buffers, offset)

    def note(run, event):
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        if isinstance(event, LossPoint) and not before:
            before.append(read[0])

    monkeypatch.setattr(os, "preadv", counted)
    run = Run(tmp_path, data=photos, on_event=note, **settings | {"chart_every": 1})
    run.folder = tmp_path / "again"
    assert run.train().completed
    pixels = (320 + 80) * 3 * size**2
    # 64 samples, the batches that the net is tried on, and those of the first steps
    assert before[0] < pixels // 3
    assert read[0] > pixels, "all of them are trained and evaluated on"
    assert max(resident) - resident[0] < pixels
