"""Which backend runs the steps of a run, and what the log says of it."""

import sys

import pytest
import torch

from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Alert, Message, TrainingStarted
from cifar_tui.engine.session import Session
from cifar_tui.engine.steps.registry import BACKENDS
from cifar_tui.engine.steps.select import get_backend, resolve_backend
from tests.engine.made_training import choice_of, config_with

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
FASTEST = "fastest for 100,000 training images over all epochs"


def chosen(*, device=CPU, images=100_000, resumed=None, **settings):
    return resolve_backend(TrainConfig(**settings), device, images=images, resumed=resumed)


def test_every_registered_backend_has_its_name():
    assert [get_backend(name).name for name in BACKENDS] == list(BACKENDS)


def test_numba_runs_the_tutorial_on_the_whole_set():
    choice = chosen()
    assert choice.backend.name == "numba"
    assert choice.identity.startswith("numba 0.")
    assert choice.sentence() == f"backend {choice.identity}: {FASTEST}"


def test_frequent_chart_points_and_log_lines_are_an_obstacle_to_graphs_only():
    assert chosen(chart_every=1, log_every=10).backend.name == "numba"
    assert chosen(device=CUDA, chart_every=25, log_every=25).backend.name == "cuda_graph"


def test_every_backend_trains_on_the_images_that_a_sampler_draws():
    assert chosen(sampler="weighted").backend.name == "numba"
    assert chosen(device=CUDA, sampler="weighted").backend.name == "cuda_graph"


def test_on_a_gpu_cuda_graphs_run_it():
    assert chosen(device=CUDA).sentence() == f"backend cuda_graph: {FASTEST}"
    assert chosen(device=CUDA, images=1, resumed="cuda_graph").backend.name == "cuda_graph"
    assert chosen(device=CUDA, backend="cuda_graph", images=1).backend.name == "cuda_graph"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"images": 2880}, "numba does not pay off for 2,880 training images over all epochs"),
        ({"images": 2880, "model": "airbench-tiny"}, "numba does not support model airbench-tiny"),
        ({"class_weights": "balanced"}, "numba does not support class_weights balanced"),
        ({"device": CUDA, "class_weights": "balanced"}, "cuda_graph does not support class_weights balanced"),
        ({"backend": "eager"}, "set with backend=eager"),
        ({"batch_size": 128}, "numba takes batch sizes up to 64"),
        ({"device": torch.device("mps")}, "no other backend runs on mps"),
        (
            {"device": CUDA, "images": 9_000},
            "cuda_graph does not pay off for 9,000 training images over all epochs",
        ),
        ({"device": CUDA, "backend": "eager"}, "set with backend=eager"),
        ({"device": CUDA, "lr_schedule": "cosine"}, "cuda_graph does not support lr_schedule cosine"),
        ({"device": CUDA, "chart_every": 24}, "CUDA graphs run 25 steps at a time: chart_every is only 24"),
        ({"device": CUDA, "log_every": 10}, "CUDA graphs run 25 steps at a time: log_every is only 10"),
        ({"device": CUDA, "resumed": "numba 0.68.1"}, "numba does not run on cuda"),
        ({"resumed": "cuda_graph"}, "cuda_graph does not run on cpu"),
        ({"resumed": "eager"}, "same as before the resume"),
        ({"resumed": "abacus 1.0"}, "there is no backend 'abacus'"),
    ],
)
def test_eager_runs_what_the_others_cannot_or_need_not(settings, reason):
    assert chosen(**settings).sentence() == f"backend eager: {reason}"


def test_a_backend_that_cannot_run_the_settings_is_refused():
    with pytest.raises(ConfigError) as refused:
        chosen(backend="numba", optimizer="adamw")
    assert refused.value.field == "backend"
    assert str(refused.value) == (
        "backend 'numba' is not available: numba does not support optimizer adamw; set backend to auto"
    )


def test_without_numba_eager_runs_and_to_ask_for_numba_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert "pip install numba" in chosen().sentence()
    with pytest.raises(ConfigError, match="numba is not installed") as refused:
        chosen(backend="numba")
    assert refused.value.field == "backend"
    assert chosen(backend="numba", resumed="numba 0.68.1").backend.name == "eager"


@pytest.mark.parametrize(("name", "device"), [("numba", CPU), ("cuda_graph", CUDA)])
def test_a_backend_declares_every_setting_of_a_step_that_it_supports(name, device):
    """Any other value than the default of a setting that it does not name is an obstacle."""
    backend = get_backend(name)
    in_step = {setting for setting, field in SETTINGS.items() if field.metadata["in_step"]}
    assert backend.supports < in_step
    assert backend.obstacle_to(TrainConfig(), device) is None


@pytest.mark.parametrize(("name", "device"), [("numba", CPU), ("cuda_graph", CUDA)])
def test_a_new_setting_is_refused_by_backends_that_do_not_name_it(monkeypatch, name, device):
    config = config_with(monkeypatch, made_up=5)
    assert get_backend(name).obstacle_to(config, device) == f"{name} does not support made_up 5"
    choice = resolve_backend(config, device, images=100_000)
    assert choice.sentence() == f"backend eager: {name} does not support made_up 5"
    unchanged = config_with(monkeypatch, made_up=0)
    assert resolve_backend(unchanged, device, images=100_000).backend.name == name, "the default adds nothing"


def train(image_folder, folder, *, resume_from=None, stop=False, config=None, **settings):
    events, control = [], RunControl()

    def emit(event):
        events.append(event)
        if stop and isinstance(event, TrainingStarted):
            control.request("stop")

    config = config or TrainConfig(data=str(image_folder), data_dir=str(folder), device="cpu", **settings)
    folder.mkdir(exist_ok=True)
    Session(config=config, emit=emit, control=control).train(
        lambda: RunFolder(folder), interactive=True, resume_from=resume_from
    )
    return events, torch.load(folder / "last.pt", weights_only=True)


def test_a_setting_that_nothing_follows_is_a_defect_and_not_ignored(image_folder, tmp_path, monkeypatch):
    places = {"data": str(image_folder), "data_dir": str(tmp_path), "device": "cpu", "epochs": 1}
    with pytest.raises(AssertionError, match=r"^setting made_up=5 has no effect: nothing reads it$"):
        train(image_folder, tmp_path / "run", config=config_with(monkeypatch, made_up=5, **places))
    config = config_with(monkeypatch, made_up=0, **places)
    events, _ = train(image_folder, tmp_path / "run", config=config)
    assert any(isinstance(event, TrainingStarted) for event in events)


def test_a_resumed_run_keeps_its_backend(image_folder, tmp_path, monkeypatch):
    events, state = train(image_folder, tmp_path / "run", stop=True, backend="numba")
    (started,) = [event for event in events if isinstance(event, TrainingStarted)]
    assert started.backend == "numba"
    logged = [event.text for event in events if isinstance(event, Message)]
    assert f"backend {state['provenance']['backend']}: set with backend=numba" in logged
    events, resumed = train(image_folder, tmp_path / "run", resume_from=state)
    assert not [event for event in events if isinstance(event, Alert)]
    _, alone = train(image_folder, tmp_path / "alone", backend="numba")
    for name, tensor in resumed["model"].items():
        assert torch.equal(tensor, alone["model"][name])
    monkeypatch.setitem(sys.modules, "numba", None)
    events, _ = train(image_folder, tmp_path / "run", resume_from=state, backend="numba")
    (alert,) = [event for event in events if isinstance(event, Alert)]
    assert "eager" in alert.text
    assert state["provenance"]["backend"] in alert.text


def test_log_and_checkpoint_of_a_run_name_the_backend_that_ran(image_folder, tmp_path, monkeypatch):
    def fail(steps):
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr("cifar_tui.engine.steps.cuda_graph.CudaGraphSteps._record", fail)
    monkeypatch.setattr("cifar_tui.engine.session.resolve_backend", lambda *_, **__: choice_of("cuda_graph"))
    events, state = train(image_folder, tmp_path / "run", epochs=1)
    sentence = "backend eager: CUDA graph capture failed (operation not permitted)"
    assert sentence in [event.text for event in events if isinstance(event, Message)]
    (started,) = [event for event in events if isinstance(event, TrainingStarted)]
    assert started.backend == "eager"
    assert state["provenance"]["backend"] == "eager"
