"""Which way the steps of a run are made, and what is said of it."""

import sys

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import Alert, Message, TrainingStarted
from cifar_tui.engine.models import create_model
from cifar_tui.engine.session import Session
from cifar_tui.engine.steps.select import backend_in_use, make_steps, resolve_backend

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def chosen(*, device=CPU, images=100_000, before=None, **settings):
    return resolve_backend(TrainConfig(**settings), device, images=images, before=before)


def test_the_tutorial_on_the_whole_set_is_compiled():
    assert chosen().fast
    assert chosen().maker.startswith("numba ")


def test_points_and_lines_of_few_steps_are_no_obstacle_but_to_graphs():
    assert chosen(chart_every=1, log_every=10).fast
    assert chosen(device=CUDA, chart_every=25, log_every=25).graphs


def test_on_a_gpu_it_is_in_graphs():
    path = chosen(device=CUDA)
    assert path.graphs
    assert path.sentence() == "steps in CUDA graphs, many to a launch: 100,000 images to train on"
    assert chosen(device=CUDA, images=1, before="CUDA graphs").graphs
    assert not chosen().graphs


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"images": 2880}, "2,880 images are too few"),
        ({"images": 2880, "model": "airbench-tiny"}, "compiled steps know no model airbench-tiny"),
        ({"backend": "eager"}, "backend is eager"),
        ({"batch_size": 128}, "batches of up to 64"),
        ({"device": torch.device("mps")}, "not for mps"),
        ({"device": CUDA, "images": 9_000}, "9,000 images are too few"),
        ({"device": CUDA, "backend": "eager"}, "backend is eager"),
        ({"device": CUDA, "lr_schedule": "cosine"}, "compiled steps know no lr_schedule cosine"),
        ({"device": CUDA, "chart_every": 24}, "25 steps come to a CUDA graph and chart_every 24 wants fewer"),
        ({"device": CUDA, "log_every": 10}, "25 steps come to a CUDA graph and log_every 10 wants fewer"),
        ({"device": CUDA, "before": "numba 0.68.1"}, "the run began so"),
        ({"before": "CUDA graphs"}, "the run began so"),
        ({"before": "PyTorch"}, "the run began so"),
    ],
)
def test_it_is_not_where_that_would_not_win(settings, says):
    path = chosen(**settings)
    assert not path.fast
    assert says in path.sentence()


def test_without_numba_it_is_not_and_to_ask_for_it_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert "pip install numba" in chosen().sentence()
    with pytest.raises(ConfigError, match="numba is not installed") as refused:
        chosen(backend="fast")
    assert refused.value.field == "backend"
    assert not chosen(backend="fast", before="numba 0.68.1").fast


@pytest.fixture
def unrecordable(monkeypatch, noise_dataset):
    """Steps in graphs that cannot be recorded, prepared."""

    def fail(steps):
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr("cifar_tui.engine.steps.cuda_graph.CudaGraphSteps._record", fail)
    net = create_model("net", num_classes=10)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    steps = make_steps(
        chosen(device=CUDA), net=net, optimizer=optimizer, train=noise_dataset.train, batch_size=4
    )
    steps.prepare(lambda: False)
    return steps


def test_where_graphs_cannot_be_recorded_steps_are_plain_and_the_reason_is_said(unrecordable):
    path = backend_in_use(chosen(device=CUDA), unrecordable, TrainConfig())
    assert (path.fast, path.maker) == (False, "PyTorch")
    assert path.sentence() == (
        "steps in plain PyTorch, one by one: no CUDA graph can be recorded here (operation not permitted)"
    )


def test_where_graphs_cannot_be_recorded_to_ask_for_them_is_refused_but_not_to_go_on(unrecordable):
    config = TrainConfig(backend="fast")
    with pytest.raises(ConfigError, match=r"cannot be had: no CUDA .*; take backend auto") as refused:
        backend_in_use(chosen(device=CUDA), unrecordable, config)
    assert refused.value.field == "backend"
    assert not backend_in_use(chosen(device=CUDA), unrecordable, config, before="CUDA graphs").fast


def test_the_path_that_was_chosen_is_taken_where_nothing_fails():
    path = chosen()
    assert backend_in_use(path, object(), TrainConfig()) is path


def train(image_folder, folder, *, resume_from=None, stop=False, **settings):
    events, control = [], RunControl()

    def emit(event):
        events.append(event)
        if stop and isinstance(event, TrainingStarted):
            control.request("stop")

    config = TrainConfig(data=str(image_folder), data_dir=str(folder), device="cpu", **settings)
    folder.mkdir(exist_ok=True)
    Session(config=config, emit=emit, control=control).train(
        lambda: folder, interactive=True, resume_from=resume_from
    )
    return events, torch.load(folder / "last.pt", weights_only=True)


def test_a_resumed_run_goes_on_the_way_it_began(image_folder, tmp_path):
    events, state = train(image_folder, tmp_path / "run", stop=True, backend="fast")
    (started,) = [event for event in events if isinstance(event, TrainingStarted)]
    assert started.backend == "compiled steps"
    assert any(isinstance(event, Message) and "compiled by numba" in event.text for event in events)
    events, resumed = train(image_folder, tmp_path / "run", resume_from=state)
    assert not [event for event in events if isinstance(event, Alert)]
    _, alone = train(image_folder, tmp_path / "alone", backend="fast")
    for name, tensor in resumed["model"].items():
        assert torch.equal(tensor, alone["model"][name])


def test_where_it_cannot_an_alert_says_so(image_folder, tmp_path, monkeypatch):
    _, state = train(image_folder, tmp_path / "run", stop=True, backend="fast")
    monkeypatch.setitem(sys.modules, "numba", None)
    events, _ = train(image_folder, tmp_path / "run", resume_from=state, backend="fast")
    (alert,) = [event for event in events if isinstance(event, Alert)]
    assert "backend PyTorch instead of numba" in alert.text


def test_a_run_without_the_graphs_it_was_to_have_tells_its_log_and_its_checkpoint_the_way_it_took(
    image_folder, tmp_path, monkeypatch
):
    def fail(steps):
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr("cifar_tui.engine.steps.cuda_graph.CudaGraphSteps._record", fail)
    graphs = chosen(device=CUDA)
    monkeypatch.setattr("cifar_tui.engine.session.resolve_backend", lambda *_, **__: graphs)
    events, state = train(image_folder, tmp_path / "run")
    said = [event.text for event in events if isinstance(event, Message) and "steps in" in event.text]
    assert said == [
        "steps in plain PyTorch, one by one: no CUDA graph can be recorded here (operation not permitted)"
    ]
    (started,) = [event for event in events if isinstance(event, TrainingStarted)]
    assert started.backend == "eager steps"
    assert state["origin"]["steps"] == "PyTorch"
