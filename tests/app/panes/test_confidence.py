"""The confidence pane: what it says in words, and one chart or both."""

import numpy as np
import pytest

from cifar_tui.app.panes.confidence import ConfidencePane
from cifar_tui.app.panes.run_charts import Chart
from tests.app.panes.pane_app import PaneApp, resized, settled
from tests.runs.made_results import make_results

SIZE = (42, 24)


async def shown(pilot, *arguments, **options):
    pilot.app.query_one(ConfidencePane).show(make_results(*arguments, **options))
    await settled(pilot)
    return pilot.app.text()


def charts(pilot):
    return [chart.id for chart in pilot.app.query(Chart) if chart.display]


async def test_the_calibration_error_is_said_in_as_many_words_as_fit():
    predicted = np.zeros(100, int)
    targets = np.repeat([0, 1], 50)
    async with PaneApp(ConfidencePane()).run_test(size=(100, 24)) as pilot:
        text = await shown(pilot, targets, predicted, confidences=np.full(100, 0.75))
        assert "Expected calibration error 25.0 % · overconfident: 75.0 % confident, 50.0 % right" in text
        for width, words in ((80, "ECE 25.0 % · overconfident"), (42, "Calibration error (ECE) 25.0 %")):
            await resized(pilot, width, 24)
            assert words in pilot.app.text()
        await resized(pilot, 100, 24)
        text = await shown(pilot, predicted, predicted, confidences=np.full(100, 0.75))
        assert "underconfident: 75.0 % confident, 100.0 % right" in text
        text = await shown(pilot, targets, predicted, confidences=np.full(100, 0.5))
        assert "0.0 % · as confident as accurate" in text


async def test_the_accuracy_of_the_most_confident_is_that_of_those_kept():
    confidences = np.linspace(0.2, 0.99, 100)
    targets = np.zeros(100, int)
    predicted = np.where(np.arange(100) >= 50, 0, 1)  # the surest half is right
    async with PaneApp(ConfidencePane()).run_test(size=(100, 24)) as pilot:
        text = await shown(pilot, targets, predicted, confidences=confidences)
        assert "Most confident 25 %: 100.0 % · 50 %: 100.0 % · 80 %: 62.5 %" in text


@pytest.mark.parametrize(
    "confidences", [np.array([0.7]), np.ones(50), np.full(50, 0.3)], ids=["one image", "certain", "equal"]
)
async def test_data_without_a_curve_is_drawn(confidences):
    async with PaneApp(ConfidencePane()).run_test(size=SIZE) as pilot:
        text = await shown(pilot, np.zeros(len(confidences)), np.zeros(len(confidences)), classes=2)
        assert "All images have the same confidence" in text
        assert "━ confidence" in text


@pytest.mark.parametrize(
    ("size", "both"), [((42, 24), True), ((42, 16), False), ((80, 16), True), ((200, 50), True)]
)
async def test_both_charts_are_shown_where_there_is_room_and_a_changes_them_elsewhere(size, both):
    async with PaneApp(ConfidencePane()).run_test(size=size) as pilot:
        confidences = np.linspace(0.3, 1, 60)
        text = await shown(pilot, np.arange(60) % 3, np.arange(60) % 2, confidences=confidences)
        pilot.app.set_focus(pilot.app.query_one(ConfidencePane))
        assert len(charts(pilot)) == 1 + both
        assert ("a: other chart" in text) is not both
        await pilot.press("a")
        await settled(pilot)
        assert charts(pilot)[-1] == "coverage-chart"
        assert len(charts(pilot)) == 1 + both
        assert "of the images kept" in pilot.app.text()
