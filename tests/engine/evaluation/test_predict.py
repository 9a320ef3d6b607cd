"""Files are classified as an evaluation would, in any number of batches."""

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.folder import load_folder
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import CancelledError, ConfigError, RunFailedError
from cifar_tui.engine.evaluation import predict as predict_module
from cifar_tui.engine.evaluation.evaluate import evaluate
from cifar_tui.engine.evaluation.predict import FilePredictor, load_classifier
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.training.build import create_predictor
from tests.engine.data.deep import write_png

KIND = "more than 8 bits"
UNKNOWN = "which fits them: what was in training is not known"
CONFIG = TrainConfig(device="cpu")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save(create_model("net", num_classes=3).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(predict_module, "BATCH_SIZE", 3)


def predictor_of(classifier, config=CONFIG, *, top=3, report=lambda _: None, cancelled=lambda: False):
    return FilePredictor(classifier, config, top=top, say=lambda _: None, report=report, cancelled=cancelled)


def classified(predictor, paths):
    """The predictions for `paths` in one piece: paths, pixels, classes, confidences, problems."""
    batches = list(predictor.predict(paths))
    return (
        [path for batch in batches for path in batch.paths],
        np.concatenate([batch.pixels for batch in batches]),
        torch.cat([batch.classes for batch in batches]),
        torch.cat([batch.confidences for batch in batches]),
        [problem for batch in batches for problem in batch.problems],
    )


def write_photos(folder):
    """Pictures as people have them, of many modes, sizes and formats."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 4), dtype=np.uint8)
    photo = Image.fromarray(noise[..., :3])
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=exif)
    Image.fromarray(noise).save(folder / "transparent.png")
    photo.convert("L").save(folder / "grey.bmp")
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.save(folder / "animated.gif", save_all=True, append_images=[photo.rotate(90)])
    photo.resize((3, 5)).save(folder / "tiny.webp")
    write_png(folder / "deep.png", np.linspace(0, 1000, 32 * 32 * 3).reshape(32, 32, 3).round())
    (folder / "large.tiff").write_bytes(b"")
    photo.resize((500, 300)).save(folder / "large.tiff")
    return sorted(folder.iterdir())


def test_pictures_are_decoded_as_those_of_a_dataset(tmp_path, weights):
    paths = write_photos(tmp_path / "images" / "a")
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "b.png")
    write_photos(tmp_path / "images" / "b")
    progress = Progress(lambda _: None, lambda: False)
    dataset = load_folder(tmp_path / "images", data_dir=tmp_path / "data", seed=0, progress=progress)
    loaded = {image.numpy().tobytes() for image in torch.cat([dataset.train.images, dataset.test.images])}
    predictor = predictor_of(load_classifier(weights))
    found, pixels, _, _, problems = classified(predictor, paths)
    assert (found, problems) == (paths, [])
    assert {image.tobytes() for image in pixels} == loaded
    assert predictor.notes() == [
        "7 resized 3×5 to 500×300 → 32×32 (the centre square of 7)",
        "converted to RGB: 1 grey, 1 palette, 1 CMYK",
        (
            "images changed: 1 transparent, put on white, 1 turned as their EXIF orientation says, "
            "1 animations or several pages, of which the first is taken"
        ),
        "1 with a side of fewer than 8 pixels, enlarged all the same",
        f"1 image with {KIND}: 0 is black and 1,023 is white in all of them, {UNKNOWN}",
    ]


@pytest.mark.parametrize("tta", ["none", "mirror", "mirror+translate"])
def test_predictions_are_those_of_an_evaluation(weights, image_folder, tmp_path, small_batches, tta):
    config = TrainConfig(device="cpu", tta=tta)
    progress = Progress(lambda _: None, lambda: False)
    dataset = load_folder(image_folder, data_dir=tmp_path / "data", seed=0, progress=progress)
    classifier = load_classifier(weights)
    report = evaluate(create_predictor(classifier.net, config), dataset.test, dataset.class_names)
    # test images take turns by class
    paths = [image_folder / "test" / name / f"{k:02d}.png" for k in range(4) for name in dataset.class_names]
    _, pixels, classes, confidences, _ = classified(predictor_of(classifier, config), paths)
    assert torch.equal(torch.from_numpy(pixels), dataset.test.images)
    assert torch.equal(classes[:, 0], report.predicted)
    assert torch.allclose(confidences[:, 0], report.confidences, atol=1e-6)
    assert torch.allclose(confidences.sum(dim=1), torch.ones(12))
    assert (confidences.diff(dim=1) <= 0).all()


def test_of_equal_classes_the_first_is_predicted_as_in_an_evaluation(weights, image_folder):
    state = torch.load(weights)
    torch.save({name: torch.zeros_like(tensor) for name, tensor in state.items()}, weights)
    _, _, classes, confidences, _ = classified(
        predictor_of(load_classifier(weights), top=2), [next(image_folder.rglob("*.png"))]
    )
    assert classes.tolist() == [[0, 1]]
    assert confidences.tolist() == [pytest.approx([1 / 3, 1 / 3])]


def test_files_that_are_no_images_are_named_and_the_others_classified(
    weights, image_folder, tmp_path, small_batches
):
    (tmp_path / "a.txt").write_text("no image")
    good = sorted((image_folder / "test").rglob("*.png"))
    bad = [tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"]
    paths = [bad[0], *good[:2], bad[1], bad[2], bad[0], *good[2:]]  # a batch of bad ones among them
    predictor = predictor_of(load_classifier(weights))
    found, _, classes, _, problems = classified(predictor, paths)
    assert found == good
    assert len(classes) == predictor.predicted == 12
    missing = "No such file or directory"
    assert problems == [
        (bad[0], "not an image"),
        (bad[1], missing),
        (bad[2], missing),
        (bad[0], "not an image"),
    ]


def deep(path, value):
    return write_png(path, np.full((32, 32, 1), value))


def test_images_of_more_than_8_bits_share_a_scale_over_all_batches(weights, tmp_path, small_batches):
    paths = [deep(tmp_path / f"{number}.png", value) for number, value in enumerate([90, 900, 9, 500, 4000])]
    predictor = predictor_of(load_classifier(weights))
    _, pixels, *_ = classified(predictor, paths)
    assert pixels[:, 0, 0, 0].tolist() == [round(v * 255 / 4095) for v in (90, 900, 9, 500, 4000)]
    assert predictor.notes() == [
        f"5 images with {KIND}: 0 is black and 4,095 is white in all of them, {UNKNOWN}"
    ]


def test_images_of_more_than_8_bits_have_the_scale_of_the_training(weights, tmp_path, small_batches):
    classifier = load_classifier(weights)
    object.__setattr__(classifier, "scales", {KIND: (0.0, 4095.0)})
    paths = [deep(tmp_path / f"{number}.png", value) for number, value in enumerate([90, 9, 9, 5000, 800])]
    predictor = predictor_of(classifier)
    _, pixels, *_ = classified(predictor, paths)
    assert pixels[:, 0, 0, 0].tolist() == [round(90 * 255 / 4095), 1, 1, 255, 50]
    (note,) = predictor.notes()
    assert note.startswith(
        f"5 images with {KIND}: 0 is black and 4,095 is white in all of them, as in training"
    )
    assert note.endswith(" (what fits them: 0 and 16,383)")


def test_progress_counts_all_files_and_a_stop_ends_it(weights, image_folder, small_batches):
    reported = []
    paths = sorted((image_folder / "test").rglob("*.png"))
    predictor = predictor_of(
        load_classifier(weights), report=reported.append, cancelled=lambda: len(reported) > 2
    )
    with pytest.raises(CancelledError):
        list(predictor.predict(paths))
    assert {progress.total for progress in reported} == {12}
    predictor = predictor_of(load_classifier(weights), report=reported.append)
    reported.clear()
    list(predictor.predict(paths))
    done = [progress.done for progress in reported]
    assert done == sorted(done)
    assert done[-1] > 9


def test_outputs_that_are_not_finite_are_no_prediction(weights, image_folder):
    classifier = load_classifier(weights)
    next(classifier.net.parameters()).data.fill_(float("nan"))
    path = next(image_folder.rglob("*.png"))
    with pytest.raises(RunFailedError, match=f"the outputs for '{path}' are not finite; use precision fp32"):
        list(predictor_of(classifier).predict([path]))


def test_classes_without_names_are_numbered_or_assumed_and_that_is_said(weights, tmp_path):
    numbered = load_classifier(weights)
    assert numbered.class_names == ("0", "1", "2")
    (note,) = [note for note in numbered.notes if "names no classes" in note]
    assert "numbering its 3 classes from 0; name them with --classes" in note
    torch.save(create_model("net", num_classes=10).state_dict(), tmp_path / "ten.pth")
    ten = load_classifier(tmp_path / "ten.pth", model="net")
    assert ten.class_names[:2] == ("plane", "car")
    assert "assuming those of CIFAR-10 (plane, car, bird, … (10))" in ten.notes[0]
    (note,) = load_classifier(tmp_path / "ten.pth", model="net", class_names="abcdefghij").notes
    assert note == (
        f"'{tmp_path / 'ten.pth'}' does not say what it was trained on: assuming images of 32×32 pixels, and "
        "inputs from -1 to 1"
    )
    torch.save({"state_dict": torch.load(weights), "classes": ["x", "y", "z"]}, tmp_path / "named.pth")
    named = load_classifier(tmp_path / "named.pth")
    assert named.class_names == ("x", "y", "z")
    assert not any("names no classes" in note for note in named.notes)
    with pytest.raises(ConfigError, match="expects 3 classes, 2 are given \\(a, b\\)"):
        load_classifier(weights, class_names=("a", "b"))
