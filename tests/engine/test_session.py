"""A whole run of the engine: the five steps on a folder of small images."""

import json
from contextlib import contextmanager

import pytest
import torch

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.control import RunControl
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
)
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.session import Session, _load_state
from cifar_tui.engine.steps.eager import EagerSteps


class Run:
    def __init__(self, tmp_path, *, data, on_event=None, **settings):
        self.events = []
        self.folder = tmp_path / "run"
        self.control = RunControl()
        self.on_event = on_event
        config = TrainConfig(
            **{
                "data": str(data),
                "data_dir": str(tmp_path / "data"),
                "epochs": 4,
                "device": "cpu",
                **settings,
            }
        )
        self.session = Session(config=config, emit=self.emit, control=self.control)

    def emit(self, event):
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(self, event)

    def train(self, resume_from=None):
        return self.session.train(self.create_folder, interactive=True, resume_from=resume_from)

    def create_folder(self):
        self.folder.mkdir(exist_ok=True)
        return self.folder

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def printed(self):
        return [event.text for event in self.of(Message) if event.printed]


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
    recipe = {
        "model": "airbench-tiny",
        "weight_averaging": averaging,
        "learning_rate": 0.01,
        "epochs": 1,
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
        "ema_decay": 0.9,
        "translate": 2,
        "flip": "random",
        "cutout": 4,
        "low_res_fraction": 0.5,
        "tta": "mirror+translate",
        "precision": "auto",
        "channels_last": True,
        "log_every": 2,
        "chart_every": 1,
        "eval_every": 0,
        "val_size": 4,
        "checkpoint_every_epochs": 0,
        "checkpoint_every_minutes": 1.0,
        "seed": 3,
    }
    followed_elsewhere = {"preset", "compile", "backend"}
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
def resumable(tmp_path, image_folder):
    """A recipe, and the state of its run after an epoch."""
    recipe = {"model": "airbench-tiny", "translate": 1, "learning_rate": 0.01, "batch_size": 8}
    Run(tmp_path, data=image_folder, epochs=1, **recipe).train()
    return recipe, torch.load(tmp_path / "run" / "last.pt", weights_only=True)


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


@pytest.fixture
def made_current(monkeypatch):
    """The devices that are the thread's own at the moment."""
    inside = []

    @contextmanager
    def make_current(device):
        inside.append(str(device))
        yield
        inside.pop()

    monkeypatch.setattr("cifar_tui.engine.session.current_device", make_current)
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


def test_a_state_that_does_not_fit_is_refused_with_what_does_not_fit(tmp_path):
    ours, other = (create_model("net", num_classes=count) for count in (10, 3))
    with pytest.raises(
        ConfigError, match=r"last\.pt' does not match .* \(size mismatch for fc3\.weight: .*\); use"
    ):
        _load_state(ours, other.state_dict(), tmp_path / "last.pt")


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


def test_a_device_out_of_memory_is_one_sentence(tmp_path, image_folder, resumable, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    recipe, state = resumable
    monkeypatch.setattr(EagerSteps, "train_step", fail)
    with pytest.raises(RunFailedError, match="out of memory: end other programs that use it"):
        Run(tmp_path, data=image_folder, epochs=2, **recipe).train(resume_from=state)
    with pytest.raises(RunFailedError, match="out of memory: try a smaller batch size"):
        Run(tmp_path, data=image_folder, **recipe).train()
