"""How far a training is, is reported several times a second, however slow its steps are."""

import torch
from torch import nn

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import LossPoint, StepsDone
from cifar_tui.engine.steps.backend import StepResult
from cifar_tui.engine.training import reporting


def test_between_two_chart_points_the_steps_are_reported_every_quarter_of_a_second(monkeypatch):
    now, events = 100.0, []
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now)
    reporter = reporting.Reporter(
        emit=events.append,
        net=nn.Identity(),
        samples=ImageSplit(images=torch.zeros(0), targets=torch.zeros(0)),
        batch_size=4,
        chart_every=10,
        log_every=1000,
        on_non_finite=events.append,
    )
    for step in range(1, 21):  # of 0.1 s each
        now += 0.1
        loss = torch.tensor([1.0])
        reporter.metrics.add(StepResult(losses=loss, correct=torch.tensor(1), images=4))
        reporter.report_steps(
            step=step, epoch=1, batch=step, last=False, learning_rate=0.1, train_seconds=step / 10
        )
    assert [event.step for event in events if isinstance(event, LossPoint)] == [10, 20]
    assert [event.step for event in events if isinstance(event, StepsDone)] == [1, 4, 7, 13, 16, 19]
    assert StepsDone.transient, "they are not logged"
