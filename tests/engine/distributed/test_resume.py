"""A run in several processes resumes as if it had not been interrupted, whatever its net draws."""

import torch

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.follow import follow
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.events import LossPoint
from tests.engine.made_session import Run
from tests.engine.models.own.nets import RANDOM, write_net
from tests.ranks import run_ranks


def train_rank(folder, settings, stop_at):
    if launched().rank:
        return follow(launched(), RunControl())

    def stop(run, event):
        if isinstance(event, LossPoint) and event.step == stop_at:
            run.control.request("stop")

    run = Run(folder, on_event=stop if stop_at else None, **settings)
    last = run.folder / "last.pt"
    run.train(load_training_state(last) if last.exists() else None)
    return torch.load(last, weights_only=True)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, image_folder):
    settings = {
        "data": image_folder,
        "model": f"{write_net(tmp_path, RANDOM)}:Net",
        "epochs": 3,
        "batch_size": 5,
    }
    settings |= {"sampler": "weighted", "flip": "random", "chart_every": 1}
    whole, _ = run_ranks(2, train_rank, tmp_path / "whole", settings, 0)
    stopped, _ = run_ranks(2, train_rank, tmp_path / "parts", settings, 7)
    assert 7 <= stopped["step"] < whole["step"] == 15
    resumed, _ = run_ranks(2, train_rank, tmp_path / "parts", settings, 0)
    assert resumed["step"] == 15
    assert all(torch.equal(resumed["model"][name], tensor) for name, tensor in whole["model"].items())
