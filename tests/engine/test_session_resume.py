"""A run that is resumed on the images, the classes and the device there are then."""

import json
import shutil

import pytest
import torch

from cifar_tui.engine.checkpoint.state import load_state
from cifar_tui.engine.errors import CancelledError, ConfigError
from cifar_tui.engine.events import (
    Alert,
    DataLoaded,
    EpochFinished,
    Evaluated,
    LossPoint,
    Message,
    Phase,
    PhaseChanged,
    TrainingStarted,
)
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_session import Run


def test_a_resumed_run_keeps_its_precision_without_measuring(tmp_path, image_folder, resumable, monkeypatch):
    recipe, state = resumable
    state["steps"]["precision"] = "bf16"
    prepared = []
    monkeypatch.setattr(
        EagerSteps, "prepare", lambda steps, cancelled: prepared.append(steps.state_dict()["precision"])
    )
    run = Run(tmp_path, data=image_folder, epochs=2, precision="auto", **recipe)
    assert run.train(resume_from=state).completed
    logged = [message.text for message in run.of(Message) if "training in" in message.text]
    assert logged == ["training in bf16, as before the resume"]
    assert prepared == ["bf16"]
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["steps"]["precision"] == "bf16"


def test_a_run_resumed_on_another_kind_of_device_chooses_its_precision_there_and_says_so(
    tmp_path, image_folder, resumable
):
    recipe, state = resumable
    state["steps"]["precision"] = "tf32"
    state["provenance"]["device"] = "cuda:0 NVIDIA H100"
    run = Run(tmp_path, data=image_folder, epochs=2, **recipe)
    assert run.train(resume_from=state).completed
    alerts = [alert.text for alert in run.of(Alert) if "tf32" in alert.text]
    assert len(alerts) == 1
    assert alerts[0].startswith("results may differ from an uninterrupted run: ")
    assert "fp32" in alerts[0]
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["steps"]["precision"] == "fp32"


def test_matrix_products_are_rounded_as_the_precision_says_that_a_resumed_run_keeps(
    tmp_path, image_folder, resumable
):
    recipe, state = resumable
    rounded = []

    def look(run, event):
        if isinstance(event, EpochFinished):
            rounded.append(torch.backends.cudnn.conv.fp32_precision)

    for precision in ("fp32", "tf32"):
        state["steps"]["precision"] = precision
        Run(tmp_path, data=image_folder, epochs=2, on_event=look, **recipe).train(resume_from=state)
    assert rounded == ["ieee", "tf32"]


def without(image_folder, pattern):
    for path in (image_folder / "train").glob(pattern):
        path.unlink()


def with_another(image_folder):
    first, *_ = sorted((image_folder / "train" / "red").iterdir())
    shutil.copy(first, first.with_name("another.png"))


def stopped_at(tmp_path, image_folder, step, **settings):
    """The state of a run of two epochs that was stopped after `step` steps of one image."""

    def stop(run, event):
        if isinstance(event, LossPoint) and event.step == step:
            run.control.request("stop")

    recipe = {"batch_size": 1, "chart_every": 1, "epochs": 2, **settings}
    run = Run(tmp_path, data=image_folder, on_event=stop, **recipe)
    assert run.train().step == step
    return recipe, torch.load(tmp_path / "run" / "last.pt", weights_only=True)


@pytest.mark.parametrize(("change", "now"), [("fewer", 18), ("more", 25)])
@pytest.mark.parametrize("step", [3, 26])
def test_a_run_is_not_resumed_on_more_or_fewer_training_images(tmp_path, image_folder, change, now, step):
    recipe, state = stopped_at(tmp_path, image_folder, step)
    if change == "fewer":
        without(image_folder, "red/0[2-7]*")
    else:
        with_another(image_folder)
    run = Run(tmp_path, data=image_folder, **recipe)
    with pytest.raises(ConfigError) as refused:
        run.train(resume_from=state)
    assert str(refused.value) == (
        f"this run cannot be resumed: it was trained on 24 training images, folder {image_folder} has "
        f"{now} now; restore the images it was trained on, or start a new run"
    )
    assert not run.of(TrainingStarted)
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["step"] == step


def test_a_training_image_that_cannot_be_read_now_is_named_before_the_refusal(tmp_path, image_folder):
    recipe, state = stopped_at(tmp_path, image_folder, 3)
    (image_folder / "train" / "red" / "00.png").write_bytes(b"")
    run = Run(tmp_path, data=image_folder, **recipe)
    with pytest.raises(ConfigError, match=r"was trained on 24 training images, .* has 23 now"):
        run.train(resume_from=state)
    assert "train/red/00.png: not an image" in run.of(Alert)[0].text


@pytest.mark.parametrize("change", ["fewer", "more"])
def test_a_run_that_has_trained_is_evaluated_whatever_became_of_the_training_images(
    tmp_path, image_folder, change
):
    def stop(run, event):
        if isinstance(event, PhaseChanged) and event.phase is Phase.EVALUATING:
            run.control.request("stop")

    recipe = {"batch_size": 5, "epochs": 2, "eval_every": 0}
    with pytest.raises(CancelledError):
        Run(tmp_path, data=image_folder, on_event=stop, **recipe).train()
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    if change == "fewer":
        without(image_folder, "red/0[2-7]*")
    else:
        with_another(image_folder)
    run = Run(tmp_path, data=image_folder, **recipe)
    finished = run.train(resume_from=state)
    assert (finished.completed, finished.step, finished.images) == (True, 10, 48)
    assert [event.final for event in run.of(Evaluated)] == [True]
    (started,) = run.of(TrainingStarted)
    assert (started.steps_per_epoch, started.total_steps) == (5, 10)
    assert run.of(Alert) == []
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    with pytest.raises(ConfigError, match="it was trained on 24 training images"):
        Run(tmp_path, data=image_folder, **(recipe | {"epochs": 3})).train(resume_from=state)


def test_the_accuracy_of_an_epoch_counts_no_image_of_another_set(tmp_path, image_folder):
    recipe, state = stopped_at(tmp_path, image_folder, 10, val_size=4)
    (image_folder / "train" / "red").rename(image_folder / "kept")
    (image_folder / "train" / "blue").rename(image_folder / "train" / "red")
    (image_folder / "kept").rename(image_folder / "train" / "blue")
    run = Run(tmp_path, data=image_folder, **recipe)
    finished = run.train(resume_from=state)
    assert [alert.text for alert in run.of(Alert)] == [
        f"results may differ from an uninterrupted run: {difference}"
        for difference in (
            "the training images differ",
            "some of the validation images may have been trained on",
        )
    ]
    assert finished.step == 40
    for epoch in run.of(EpochFinished):
        points = [point for point in run.of(LossPoint) if point.epoch == epoch.epoch]
        assert epoch.accuracy == pytest.approx(sum(point.accuracy for point in points) / len(points))
        assert epoch.loss == pytest.approx(sum(point.loss for point in points) / len(points))


def rename_class(image_folder, old, new):
    for part in ("train", "test"):
        (image_folder / part / old).rename(image_folder / part / new)


def test_a_run_keeps_its_class_names(image_folder, resumable, tmp_path):
    _, state = resumable
    assert state["class_names"] == ["blue", "green", "red"]
    assert json.loads((tmp_path / "run" / "report.json").read_text())["class_names"] == state["class_names"]


def test_a_run_is_resumed_with_its_classes_whatever_their_order_in_the_dataset(
    tmp_path, image_folder, resumable
):
    recipe, state = resumable
    order = [2, 0, 1]
    state["class_names"] = [state["class_names"][k] for k in order]
    state["model"]["head.weight"] = state["model"]["head.weight"][order]
    run = Run(tmp_path, data=image_folder, epochs=2, **recipe)
    assert run.train(resume_from=state).completed
    (data,) = run.of(DataLoaded)
    assert data.class_names == ("red", "blue", "green")
    dataset = run.session.dataset
    brightest = dataset.train.images.float().mean(dim=(2, 3)).argmax(dim=1)
    assert [("red", "green", "blue")[k] for k in brightest] == [
        dataset.class_names[k] for k in dataset.train.targets
    ]
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["class_names"] == state["class_names"]


def test_a_run_whose_classes_were_renamed_is_not_resumed_unless_their_order_is_to_be_assumed(
    tmp_path, image_folder, resumable
):
    recipe, state = resumable
    rename_class(image_folder, "red", "rot")
    run = Run(tmp_path, data=image_folder, epochs=2, **recipe)
    with pytest.raises(
        ConfigError, match=r"differ: only this run has red; only folder .* has rot; use --data"
    ):
        run.train(resume_from=state)
    assert run.of(DataLoaded) == []
    run = Run(tmp_path, data=image_folder, epochs=2, assume_class_order=True, **recipe)
    assert run.train(resume_from=state).completed
    assert (
        run.of(Alert)[0].text
        == "assuming that classes with other names have the same order: rot is red in this run"
    )
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["class_names"] == state["class_names"]


@pytest.mark.parametrize("names", [0, [], ["a", "a", "b"], ["a", "b", 3], "abc", None])
def test_a_checkpoint_with_damaged_class_names_is_not_resumed(tmp_path, image_folder, resumable, names):
    recipe, state = resumable
    with pytest.raises(ConfigError, match="has no valid class names"):
        Run(tmp_path, data=image_folder, epochs=2, **recipe).train(resume_from=state | {"class_names": names})


def test_a_state_that_does_not_fit_is_refused_with_what_does_not_fit(tmp_path):
    ours, other = (create_model("net", num_classes=count) for count in (10, 3))
    with pytest.raises(
        ConfigError, match=r"last\.pt' does not match .* \(size mismatch for fc3\.weight: .*\); use"
    ):
        load_state(ours, other.state_dict(), tmp_path / "last.pt")
