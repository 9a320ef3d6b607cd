"""Weights see images of more than 8 bits as in training, whatever the folder has become."""

import shutil

import numpy as np
import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.evaluation.predict import FilePredictor, load_classifier
from cifar_tui.engine.events import Alert
from tests.engine.data.deep import write_png
from tests.engine.made_session import Run

KIND = "more than 8 bits"


@pytest.fixture
def deep_folder(tmp_path):
    """Two classes of plain grey images of 12 bits, 8 to train on and 4 to test with."""
    for number in range(6):
        for name, value in (("dark", 100), ("light", 3000)):
            path = tmp_path / "images" / ("train" if number < 4 else "test") / name / f"{number}.png"
            write_png(path, np.full((32, 32, 1), value + 160 * number))
    return tmp_path / "images"


@pytest.fixture
def trained(tmp_path, deep_folder):
    """The folder of a run and its training images; since then there is a brighter image to test with."""
    run = Run(tmp_path, data=deep_folder, epochs=1)
    run.train()
    (run.folder / "config.toml").touch()
    assert run.session.dataset.scales == {KIND: (0, 4095)}
    assert run.of(Alert) == []
    write_png(deep_folder / "test" / "light" / "brighter.png", np.full((32, 32, 1), 60_000))
    return run.folder, run.session.dataset.train.images


def alert_of(run):
    (alert,) = [alert.text for alert in run.of(Alert) if KIND in alert.text]
    return alert


@pytest.mark.parametrize("name", ["cifar_net.pth", "last.pt", "elsewhere.pt"])
def test_an_evaluation_scales_images_as_the_training_did(tmp_path, deep_folder, trained, name):
    folder, images = trained
    if name == "elsewhere.pt":
        shutil.copy(folder / "last.pt", tmp_path / name)
        folder = tmp_path
    run = Run(tmp_path, data=deep_folder)
    run.session.evaluate_file(folder / name)
    assert torch.equal(run.session.dataset.train.images, images)
    assert alert_of(run) == (
        f"13 images with {KIND}: 0 is black and 4,095 is white in all of them, as in training (this folder "
        "alone: 0 and 65,535)"
    )


@pytest.mark.parametrize("name", ["cifar_net.pth", "last.pt"])
def test_files_are_classified_with_the_scale_of_the_training(deep_folder, trained, name):
    folder, images = trained
    classifier = load_classifier(folder / name)
    predictor = FilePredictor(
        classifier, TrainConfig(device="cpu"), top=1, say=print, report=print, cancelled=lambda: False
    )
    paths = [*sorted((deep_folder / "train").rglob("*.png")), deep_folder / "test" / "light" / "brighter.png"]
    (batch,) = predictor.predict(paths)
    assert classifier.class_names == ("dark", "light")
    assert torch.equal(torch.from_numpy(batch.pixels[:-1]), images)


def test_plain_weights_without_their_run_have_the_scale_of_the_folder(tmp_path, deep_folder, trained):
    folder, images = trained
    shutil.copy(folder / "cifar_net.pth", tmp_path / "w.pth")
    run = Run(tmp_path, data=deep_folder)
    run.session.evaluate_file(tmp_path / "w.pth")
    assert run.session.dataset.scales == {KIND: (0, 65_535)}
    assert not torch.equal(run.session.dataset.train.images, images)


def test_a_resumed_run_keeps_its_scale(tmp_path, deep_folder, trained):
    folder, images = trained
    for epochs in (2, 3):
        run = Run(tmp_path, data=deep_folder, epochs=epochs)
        state = torch.load(folder / "last.pt", weights_only=True)
        assert run.train(resume_from=state).completed
        assert torch.equal(run.session.dataset.train.images, images)
        assert [alert_of(run)] == [alert.text for alert in run.of(Alert)]
    assert torch.load(folder / "last.pt", weights_only=True)["scales"] == {KIND: (0, 4095)}
