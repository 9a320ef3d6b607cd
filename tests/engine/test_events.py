"""Events survive the way through a line of JSON."""

import json
import math

import pytest

from cifar_tui.engine import events
from cifar_tui.engine.events import (
    ClassAccuracy,
    Evaluated,
    LossWindow,
    Phase,
    PhaseChanged,
    SamplesPredicted,
    TrainingFinished,
    event_from_dict,
    event_to_dict,
)


def through_json(event):
    return event_from_dict(json.loads(json.dumps(event_to_dict(event))))


@pytest.mark.parametrize(
    "event",
    [
        PhaseChanged(phase=Phase.PAUSED, message="waits"),
        LossWindow(epoch=1, batch=2000, step=2000, loss=0.1 + 0.2),
        SamplesPredicted(step=3, predicted=(1, 2), confidences=(0.25, 1 / 3)),
        Evaluated(
            step=5,
            final=True,
            correct=1,
            total=2,
            loss=1.5,
            per_class=(ClassAccuracy(name="cat", correct=1, total=2),),
        ),
    ],
)
def test_an_event_comes_back_equal(event):
    assert through_json(event) == event


def test_numbers_that_are_not_finite_are_strict_json_and_come_back_as_nan():
    event = SamplesPredicted(step=3, predicted=(1, 2), confidences=(math.nan, 0.5))
    text = json.dumps(event_to_dict(event), allow_nan=False)
    again = event_from_dict(json.loads(text))
    assert math.isnan(again.confidences[0])
    assert again.confidences[1] == 0.5
    line = through_json(LossWindow(epoch=1, batch=5, step=5, loss=math.inf))
    assert math.isnan(line.loss)


def test_an_unknown_event_is_passed_over():
    assert event_from_dict({"event": "FromTheFuture", "time": 0.0}) is None


def test_a_field_that_an_earlier_version_did_not_have_has_its_default_and_any_other_must_be_there():
    finished = TrainingFinished(
        completed=True, epoch=2, step=20, train_seconds=1.5, images=80, final_loss=1.0, time=3.0
    )
    values = event_to_dict(finished)
    del values["early_stop"]
    assert event_from_dict(values) == finished
    with pytest.raises(TypeError):
        event_from_dict(values | {"from_the_future": 1})
    del values["images"]
    with pytest.raises(TypeError):
        event_from_dict(values)


def test_the_line_is_the_tutorials():
    assert LossWindow(epoch=1, batch=2000, step=2000, loss=2.2104).tutorial_line() == "[1,  2000] loss: 2.210"
    assert LossWindow(epoch=2, batch=12000, step=24500, loss=1.5).tutorial_line() == "[2, 12000] loss: 1.500"


@pytest.mark.parametrize(
    ("correct", "total", "percent"),
    [(5399, 10000, 53), (29, 100, 29), (57, 100, 57), (100, 100, 100), (0, 3, 0)],
)
def test_the_accuracy_line_rounds_down_exactly(correct, total, percent):
    # 100 * 0.29 is 28.999… in floating point: rounding down must be done in whole numbers
    event = Evaluated(step=1, final=True, correct=correct, total=total, loss=1.0, per_class=())
    line = f"Accuracy of the network on the {total} test images: {percent} %"
    assert event.tutorial_line() == line


def test_every_event_type_is_known_by_its_name():
    for name, cls in vars(events).items():
        if isinstance(cls, type) and issubclass(cls, events.Event) and cls is not events.Event:
            assert events._EVENT_TYPES[name] is cls
