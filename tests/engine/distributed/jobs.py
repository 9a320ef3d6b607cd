"""Runs of the engine in several processes, compared with runs in one."""

import numpy as np
import torch

from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.follow import follow
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.events import Evaluated, LossPoint, Message, Validated
from tests.engine.made_session import Run
from tests.ranks import run_ranks

LOSSES, WEIGHTS = 1e-5, 1e-3
"""How much the losses and weights of several processes may differ from those of one, relative to theirs.

Sums in another order are rounded otherwise, to float32. Of the millions of values before a ReLU one may be so
near 0 that its sign differs, and with it whether an image adds to the gradient of that unit.
"""


def write_pictures(path):
    """Write 1,196 training and 1,001 test images, which neither processes nor batches divide."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 1196), ("test", 1001)):
        coarse = generator.integers(0, 200, (count, 4, 4, 3))
        fine = generator.integers(0, 56, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (coarse.repeat(8, axis=1).repeat(8, axis=2) + fine).astype(np.uint8)
        arrays[f"y_{part}"] = generator.integers(0, 10, count)
    np.savez(path, **arrays)
    return path


def train_together(size, folder, data, **settings):
    """What a run with these settings in `size` processes leaves behind."""
    return run_ranks(size, _train_rank, folder, data, settings)[0]


def train_alone(folder, data, **settings):
    """The same of a run in this process."""
    return _train(folder, data, settings)


def _train_rank(folder, data, settings):
    torch.set_num_threads(1)
    launch = launched()
    if launch.rank:
        return follow(launch, RunControl())
    return _train(folder, data, settings)


def _train(folder, data, settings):
    run = Run(folder, data=data, **settings)
    finished = run.train()
    state = torch.load(folder / "run" / "last.pt", weights_only=True)
    return {
        "steps": finished.step,
        "weights": state["model"],
        "losses": [event.loss for event in run.of(LossPoint)],
        "counts": [(event.step, event.correct, event.per_class) for event in run.of(Evaluated)],
        "validated": [(event.step, event.correct) for event in run.of(Validated)],
        "predicted": run.session.report.predicted,
        "messages": [event.text for event in run.of(Message)],
    }


def largest_difference(first, second, *, buffers=True):
    """The largest difference between two sets of weights, relative to the largest weight of its tensor."""
    assert first.keys() == second.keys()
    return max(
        float((first[name] - second[name]).abs().max() / second[name].abs().max().clamp(min=1e-3))
        for name in first
        if buffers or not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
