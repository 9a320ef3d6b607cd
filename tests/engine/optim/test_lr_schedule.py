"""Learning-rate schedules: golden values, and torch's own where it has the same."""

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from cifar_tui.engine.optim.lr_schedule import lr_factor


def factors(schedule, steps, **settings):
    shape = {"warmup_fraction": 0.0, "warmup_start_factor": 0.0, "final_lr_factor": 0.0, **settings}
    return [lr_factor(schedule, step, steps, **shape) for step in range(steps)]


def torchs(steps, make):
    """The learning rates of a scheduler of torch, of an optimizer with the rate 1."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


@pytest.mark.parametrize(
    ("schedule", "settings", "expected"),
    [
        ("constant", {}, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("constant", {"warmup_fraction": 0.4, "warmup_start_factor": 0.5}, [0.5, 0.75, 1.0, 1.0, 1.0]),
        ("linear", {}, [1.0, 0.8, 0.6, 0.4, 0.2]),
        ("linear", {"final_lr_factor": 0.5}, [1.0, 0.9, 0.8, 0.7, 0.6]),
        ("linear", {"warmup_fraction": 0.4, "warmup_start_factor": 0.2}, [0.2, 0.6, 1.0, 2 / 3, 1 / 3]),
        ("cosine", {}, [1.0, 0.904508, 0.654508, 0.345492, 0.095492]),
        ("cosine", {"warmup_fraction": 0.2, "final_lr_factor": 0.1}, [0.0, 1.0, 0.868198, 0.55, 0.231802]),
        ("one-cycle", {"warmup_fraction": 0.4, "warmup_start_factor": 0.04}, [0.04, 0.52, 1.0, 0.75, 0.25]),
    ],
)
def test_golden_values(schedule, settings, expected):
    assert factors(schedule, 5, **settings) == pytest.approx(expected, abs=1e-6)


def test_cosine_is_torchs():
    expected = torchs(40, lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 40, eta_min=0.1))
    assert factors("cosine", 40, final_lr_factor=0.1) == pytest.approx(expected, abs=1e-6)


def test_one_cycle_is_torchs():
    def one_cycle(optimizer):
        # torch's last step has the final rate; here it is one after the last
        return lr_scheduler.OneCycleLR(
            optimizer, max_lr=1.0, total_steps=41, pct_start=13 / 41, div_factor=25, final_div_factor=100
        )

    expected = torchs(40, one_cycle)
    settings = {"warmup_fraction": 12 / 40, "warmup_start_factor": 1 / 25, "final_lr_factor": 1 / 2500}
    assert factors("one-cycle", 40, **settings) == pytest.approx(expected, abs=1e-6)


def test_the_rate_of_a_step_after_the_last_is_the_final_one():
    assert lr_factor(
        "linear", 9, 5, warmup_fraction=0.2, warmup_start_factor=0.0, final_lr_factor=0.07
    ) == pytest.approx(0.07)
