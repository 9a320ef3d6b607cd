"""The training images of a dataset, looked up by what a network makes of another image."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import CancelledError, ConfigError, DataUnavailableError, UserError
from cifar_tui.engine.evaluation import neighbours, training_index
from cifar_tui.engine.evaluation.training_index import index_training_images
from cifar_tui.engine.models.registry import create_model
from tests.engine.made_session import Run
from tests.engine.models.own.nets import TUTORIAL, write_net


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(create_model("net", num_classes=3).state_dict(), path)
    return path


@pytest.fixture
def index(weights, image_folder, tmp_path):
    def index(*, report=lambda _: None, cancelled=lambda: False, dataset=None, **settings):
        config = TrainConfig(
            **{"data": str(image_folder), "data_dir": str(tmp_path / "data"), "device": "cpu", **settings}
        )
        return index_training_images(
            weights,
            config,
            model="net",
            dataset=dataset,
            gently=False,
            report=report,
            cancelled=cancelled,
        )

    return index


def pixels_of(path):
    return np.asarray(Image.open(path))


def test_a_training_image_is_found_with_its_class_and_its_file(index, image_folder, weights):
    found = index()
    near = found.nearest(pixels_of(image_folder / "train" / "green" / "03.png"), 4)
    assert near[0].file == "train/green/03.png"
    assert near[0].similarity == pytest.approx(1, abs=2e-3)
    assert [found.dataset.class_names[image.target] for image in near[:1]] == ["green"]
    for image in near:
        assert np.array_equal(image.image, pixels_of(image_folder / image.file))
        assert found.dataset.class_names[image.target] == image.file.split("/")[1]
    similarities = [image.similarity for image in near]
    assert similarities == sorted(similarities, reverse=True)
    assert len({image.position for image in near}) == 4
    assert [note.partition(":")[0] for note in found.notes] == [
        f"'{weights}' names no classes",
        f"'{weights}' does not say what it was trained on",
    ]


def test_of_fewer_training_images_than_asked_for_all_are_found(index, image_folder):
    for path in (image_folder / "train").rglob("0[1-7].png"):
        path.unlink()
    near = index().nearest(pixels_of(image_folder / "test" / "red" / "00.png"), 8)
    assert sorted(image.file for image in near) == [
        f"train/{name}/00.png" for name in ("blue", "green", "red")
    ]


def test_what_a_training_draws_next_stays_the_same(index):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    index()
    assert torch.equal(torch.rand(3), expected)


def test_images_held_out_for_validation_are_no_training_images(index, image_folder):
    all_images, kept = index(), index(val_size=10, seed=3)
    assert (len(all_images.features), len(kept.features)) == (24, 14)
    for position, feature in zip(kept.positions.tolist(), kept.features, strict=True):
        assert torch.allclose(feature, all_images.features[position], atol=2e-3)
    near = kept.nearest(pixels_of(image_folder / "test" / "red" / "00.png"), 24)
    assert {image.position for image in near} == set(kept.positions.tolist())


def test_images_in_memory_are_not_loaded_again(index, image_folder, monkeypatch):
    dataset = index().dataset
    monkeypatch.delattr(training_index, "load_dataset")
    found = index(dataset=dataset)
    assert found.dataset is dataset
    assert found.notes == ()


def test_test_time_augmentation_changes_nothing(index):
    assert torch.equal(index(tta="mirror+translate").features, index().features)


def test_the_device_of_another_machine_is_replaced_by_one_of_this(index):
    assert torch.allclose(index(device="cuda:77").features, index().features, atol=2e-3)


def test_the_progress_counts_the_images_and_a_stop_ends_it(index, monkeypatch):
    monkeypatch.setattr(neighbours, "BATCH_SIZE", 10)
    shown = []
    index(report=shown.append)
    last = shown[-1]
    assert (last.stage, last.done, last.total, last.unit) == ("computing features", 24, 24, "images")
    assert any(progress.stage == "decoding images" for progress in shown)
    with pytest.raises(CancelledError):
        index(cancelled=lambda: True)
    dataset, stops = index().dataset, iter([False, True])
    with pytest.raises(CancelledError):
        index(dataset=dataset, cancelled=lambda: next(stops))


def test_images_that_are_gone_are_said_in_one_sentence(index, tmp_path):
    with pytest.raises(DataUnavailableError, match="gone"):
        index(data=str(tmp_path / "gone"))


def test_nothing_is_downloaded_to_look_at_an_image(index, tmp_path):
    for name in ("auto", "cifar10"):
        with pytest.raises(DataUnavailableError, match=r"are not in '.*data'; press e in Train"):
            index(data=name)
    assert not (tmp_path / "data").exists()


def test_a_model_whose_last_layer_is_not_linear_is_said_in_one_sentence(index, monkeypatch):
    class Headless(nn.Sequential):
        """The model of the weights, which ends in a layer that no registered one ends in."""

        def forward(self, inputs):
            return super().forward(inputs)[:, :1]

    monkeypatch.setattr(training_index, "build_net", lambda _: Headless(create_model("net", num_classes=3)))
    with pytest.raises(ConfigError, match="the last layer of the model net is not linear"):
        index()


def test_no_memory_is_said_in_one_sentence(index, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(training_index, "last_features", full)
    with pytest.raises(UserError, match=r"^out of memory.*: end other programs that use it"):
        index()


def test_a_users_net_compares_them_by_the_source_kept_with_its_weights(tmp_path, image_folder):
    path = write_net(tmp_path, TUTORIAL)
    run = Run(tmp_path, data=image_folder, model=f"{path}:Net", epochs=1)
    run.train()
    path.write_text("raise SystemExit\n")
    config, torch_state = run.session.config, torch.get_rng_state()

    def index(*, gently):
        return index_training_images(
            run.folder / "cifar_net.pth",
            config,
            model=config.model,
            dataset=None,
            gently=gently,
            report=lambda _: None,
            cancelled=lambda: False,
        )

    found = index(gently=False)
    (near,) = found.nearest(pixels_of(image_folder / "train" / "green" / "03.png"), 1)
    assert near.file == "train/green/03.png"
    assert any("has changed since the training" in note for note in found.notes)
    assert torch.equal(torch.get_rng_state(), torch_state)
    with pytest.raises(ConfigError, match="a net of your own finds no images while a training is active"):
        index(gently=True)
