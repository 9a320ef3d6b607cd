"""A whole run of the engine: the five steps on a folder of small images."""

import json
from contextlib import contextmanager, suppress

import pytest
import torch

from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import CancelledError, ConfigError, DataUnavailableError, RunFailedError
from cifar_tui.engine.events import (
    Alert,
    DataLoaded,
    EpochFinished,
    Evaluated,
    Message,
    Phase,
    PhaseChanged,
    TrainingStarted,
    Validated,
)
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.training import run_parts
from tests.engine.made_session import Run


def test_the_five_steps(tmp_path, image_folder):
    run = Run(tmp_path, data=image_folder, learning_rate=0.01)
    finished = run.train()
    assert finished.completed
    (data,) = run.of(DataLoaded)
    assert data.class_names == ("blue", "green", "red")
    assert (data.train_images, data.test_images, data.synthetic) == (24, 12, False)
    (started,) = run.of(TrainingStarted)
    assert started.total_steps == 24
    assert started.device == "cpu"
    final = run.of(Evaluated)[-1]
    assert final.final
    assert final.total == 12
    assert [e.final for e in run.of(Evaluated)] == [False, False, False, True]
    printed = run.printed()
    assert printed[0] == "Finished Training"
    assert printed[1] == "GroundTruth:  blue  green red   blue"
    assert printed[2].startswith("Predicted:    ")
    assert printed[3] == final.tutorial_line()
    assert printed[4].startswith(f"Test accuracy {100 * final.accuracy:.2f} % ({final.correct} of 12)")
    assert [line.split(" is ")[0] for line in printed[5:]] == [
        "Accuracy for class: blue ",
        "Accuracy for class: green",
        "Accuracy for class: red  ",
    ]
    phases = [event.phase for event in run.of(PhaseChanged)]
    assert phases[0] is Phase.LOADING
    assert phases[-2:] == [Phase.SAVING, Phase.EVALUATING]


def test_the_report_has_the_numbers_of_the_saved_weights(tmp_path, image_folder):
    run = Run(tmp_path, data=image_folder)
    run.train()
    report = json.loads((run.folder / "report.json").read_text())
    again = Run(tmp_path, data=image_folder)
    evaluated = again.session.evaluate_file(run.folder / "cifar_net.pth")
    assert report["test"] == evaluated.to_dict()
    assert report["confusion"] == evaluated.confusion.tolist()
    assert report["predicted"] == evaluated.predicted.tolist()
    assert sum(map(sum, report["confusion"])) == 12
    assert torch.load(run.folder / "cifar_net.pth", weights_only=True)["fc3.bias"].shape == (3,)


@pytest.mark.parametrize("averaging", ["none", "lookahead"])
def test_every_setting_is_followed_and_saved_weights_are_evaluated_again_the_same(
    tmp_path, image_folder, averaging
):
    torch.save(create_model("airbench-tiny", num_classes=3).state_dict(), tmp_path / "start.pth")
    recipe = {
        "model": "airbench-tiny",
        "weights": str(tmp_path / "start.pth"),
        "freeze": "backbone",
        "freeze_epochs": 1,
        "weight_averaging": averaging,
        "learning_rate": 0.01,
        "epochs": 2,
        "batch_size": 8,
        "optimizer": "muon",
        "bias_lr": 0.1,
        "head_lr": 0.02,
        "momentum": 0.6,
        "weight_decay": 0.001,
        "lr_schedule": "one-cycle",
        "warmup_fraction": 0.3,
        "warmup_start_factor": 0.1,
        "final_lr_factor": 0.05,
        "label_smoothing": 0.2,
        "class_weights": "balanced",
        "sampler": "weighted",
        "ema_decay": 0.9,
        "translate": 2,
        "flip": "random",
        "cutout": 4,
        "random_resized_crop": 0.5,
        "color_jitter": 0.2,
        "rand_augment": 3,
        "mixup": 0.2,
        "cutmix": 0.5,
        "image_size": 40,
        "normalization": "dataset",
        "low_res_fraction": 0.5,
        "tta": "mirror+translate",
        "precision": "auto",
        "channels_last": True,
        "log_every": 2,
        "chart_every": 1,
        "eval_every": 0,
        "val_size": 4,
        "patience": 5,
        "checkpoint_every_epochs": 0,
        "checkpoint_every_minutes": 1.0,
        "seed": 3,
        "accumulate": 2,
        "rank_timeout": 5.0,
    }
    followed_elsewhere = {"preset", "compile", "backend", "pretrained", "sync_batchnorm", "optimizer_options"}
    assert recipe.keys() | {"data", "data_dir", "device"} == SETTINGS.keys() - followed_elsewhere
    run = Run(tmp_path, data=image_folder, **recipe)
    run.train()
    assert any("training in" in message.text for message in run.of(Message))
    final = run.of(Evaluated)[-1]
    for name in ("cifar_net.pth", "last.pt"):
        again = Run(tmp_path, data=image_folder, **recipe)
        report = again.session.evaluate_file(run.folder / name)
        assert (report.correct, report.loss) == (final.correct, final.loss)


@pytest.fixture
def made_current(monkeypatch):
    """The devices that are the thread's own at the moment."""
    inside = []

    @contextmanager
    def make_current(device):
        inside.append(str(device))
        yield
        inside.pop()

    monkeypatch.setattr(run_parts, "current_device", make_current)
    return inside


def test_the_device_is_the_threads_own_while_it_trains_and_while_it_evaluates(
    tmp_path, image_folder, made_current
):
    seen = {}

    def look(run, event):
        if isinstance(event, PhaseChanged | TrainingStarted | Evaluated):
            seen.setdefault(type(event), set()).add(made_current[-1])

    run = Run(tmp_path, data=image_folder, epochs=1, on_event=look)
    run.train()
    run.session.evaluate_file(run.folder / "cifar_net.pth")
    assert seen == {PhaseChanged: {"cpu"}, TrainingStarted: {"cpu"}, Evaluated: {"cpu"}}
    assert made_current == []


def test_what_the_device_cannot_do_is_refused_before_anything_is_loaded(tmp_path, image_folder):
    run = Run(tmp_path, data=image_folder, precision="tf32")
    with pytest.raises(ConfigError, match="needs a CUDA GPU"):
        run.train()
    assert run.events == []
    assert not run.folder.exists()


def test_a_folder_for_the_compiler_that_cannot_be_made_is_one_sentence(tmp_path, image_folder, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    run = Run(tmp_path, data=image_folder)
    with pytest.raises(ConfigError, match=r"\(Not a directory\), the folder set in TORCHINDUCTOR_CACHE_DIR"):
        run.train()
    assert not run.folder.exists()


@pytest.mark.parametrize("foreign", [{"precision": "tf32"}, {"precision": "fp16"}, {"compile": "yes"}])
def test_weights_are_evaluated_where_they_could_not_be_trained(tmp_path, image_folder, monkeypatch, foreign):
    torch.save(create_model("airbench-tiny", num_classes=3).state_dict(), tmp_path / "three.pth")
    monkeypatch.setenv("CXX", "no-such-compiler")
    here = Run(tmp_path, data=image_folder, model="airbench-tiny")
    expected = here.session.evaluate_file(tmp_path / "three.pth")
    run = Run(tmp_path, data=image_folder, model="airbench-tiny", **foreign)
    assert run.session.evaluate_file(tmp_path / "three.pth").to_dict() == expected.to_dict()


def test_a_stop_while_training_leaves_no_report(tmp_path, image_folder):
    def stop(run, event):
        if isinstance(event, TrainingStarted):
            run.control.request("stop")

    run = Run(tmp_path, data=image_folder, on_event=stop)
    assert not run.train().completed
    assert (run.folder / "cifar_net.pth").exists()
    assert not (run.folder / "report.json").exists()


def test_a_stop_during_an_evaluation_on_the_way_still_saves(tmp_path, image_folder):
    def stop(run, event):
        if isinstance(event, PhaseChanged) and event.phase is Phase.EVALUATING:
            run.control.request("stop")

    run = Run(tmp_path, data=image_folder, on_event=stop)
    finished = run.train()
    assert (finished.completed, finished.epoch) == (False, 1)
    assert torch.load(run.folder / "last.pt", weights_only=True)["step"] == 6


def test_a_stop_while_loading_leaves_nothing(tmp_path, image_folder):
    run = Run(tmp_path, data=image_folder)
    run.control.request("stop")
    with pytest.raises(CancelledError):
        run.train()
    assert not run.folder.exists()


def test_data_that_is_not_there_leaves_nothing(tmp_path):
    run = Run(tmp_path, data=tmp_path / "none")
    with pytest.raises(DataUnavailableError):
        run.train()
    assert not run.folder.exists()


def test_an_option_that_torch_refuses_leaves_nothing(tmp_path, image_folder):
    run = Run(tmp_path, data=image_folder, optimizer="torch:Adam", optimizer_options="beta=1")
    with pytest.raises(ConfigError, match="did you mean 'betas'"):
        run.train()
    assert not run.folder.exists()


def test_files_that_are_no_images_are_named_in_an_alert(tmp_path, image_folder):
    (image_folder / "train" / "red" / "notes.txt").write_text("not a picture")
    run = Run(tmp_path, data=image_folder, epochs=1)
    run.train()
    (alert,) = run.of(Alert)
    assert "skipped 1 file " in alert.text
    assert "notes.txt" in alert.text


def test_weights_for_another_number_of_classes_are_refused(tmp_path, image_folder):
    torch.save(create_model("net", num_classes=10).state_dict(), tmp_path / "ten.pth")
    run = Run(tmp_path, data=image_folder)
    with pytest.raises(ConfigError, match=r"ten\.pth' expects 10 classes, .* has 3; use --data"):
        run.session.evaluate_file(tmp_path / "ten.pth")


def test_weights_whose_outputs_are_not_finite_have_no_accuracy(tmp_path, image_folder):
    weights = create_model("airbench-tiny", num_classes=3).state_dict()
    weights["blocks.0.norms.0.running_var"].fill_(-1)  # finite, but has no square root
    torch.save(weights, tmp_path / "w.pth")
    run = Run(tmp_path, data=image_folder, model="airbench-tiny")
    with pytest.raises(RunFailedError, match=r"no accuracy: the outputs .* are not finite; use"):
        run.session.evaluate_file(tmp_path / "w.pth", report_to=RunFolder(tmp_path))
    assert (run.of(Evaluated), run.session.report, run.printed()) == ([], None, [])
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no accuracy at step 6: the outputs for the test images are not finite"),
        (
            {"val_size": 4},
            "no validation accuracy at step 5: the outputs for the validation images are not finite",
        ),
    ],
)
def test_outputs_that_are_not_finite_on_the_way_are_an_alert_and_no_accuracy(
    tmp_path, image_folder, settings, said
):
    def spoil(run, event):
        if isinstance(event, EpochFinished) and event.epoch == 1:
            norm = run.spoiled = run.nets[0].blocks[0].norms[0]
            run.before = norm.running_var.clone()
            norm.running_var.fill_(-1)
        if isinstance(event, Alert):
            run.spoiled.running_var.copy_(run.before)

    settings = {"epochs": 2, "eval_every": 0 if settings else 1, **settings}
    run = Run(tmp_path, data=image_folder, model="airbench-tiny", on_event=spoil, **settings)
    run.nets = []
    build = run.session._build
    run.session._build = lambda *args, **options: (
        run.nets.append((setup := build(*args, **options)).net) or setup
    )
    assert run.train().completed
    assert [alert.text for alert in run.of(Alert)] == [said]
    assert [event.final for event in run.of(Evaluated)] == [True]
    assert [event.epoch for event in run.of(Validated)] == [2] * ("val_size" in settings)
    assert all(event.best for event in run.of(Validated))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path, image_folder):
    weights = []
    for number, seed in enumerate((4, 4, 5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = Run(folder, data=image_folder, epochs=1, seed=seed)
        run.train()
        weights.append(torch.load(run.folder / "cifar_net.pth", weights_only=True)["fc1.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_memory_for_a_gpu_is_given_back_when_a_run_ends_well_or_not(tmp_path, image_folder, monkeypatch):
    released = []
    monkeypatch.setattr(
        "cifar_tui.engine.training.run_parts.release_gpu_memory", lambda: released.append(True)
    )
    run = Run(tmp_path, data=image_folder, epochs=1, backend="eager")
    for ending in (run.create_folder, lambda: 1 / 0):
        released.clear()
        with suppress(ZeroDivisionError):
            run.session.train(ending, interactive=True)
        assert released
        assert run.session._test is None, "it was on the device"


def test_why_a_gpu_is_not_used_is_said_once(tmp_path, image_folder, monkeypatch):
    monkeypatch.setattr(
        "cifar_tui.engine.training.run_parts.unused_gpu", lambda: "the driver is too old; update it"
    )
    run = Run(tmp_path, data=image_folder, epochs=1, backend="eager", device="auto")
    run.train()
    run.session.evaluate_file(run.folder / "cifar_net.pth")
    assert [a.text for a in run.of(Alert)] == ["computing on the CPU: the driver is too old; update it"]
    quiet = Run(tmp_path, data=image_folder, epochs=1, backend="eager", device="cpu")
    quiet.train()
    assert not quiet.of(Alert), "it was chosen"
