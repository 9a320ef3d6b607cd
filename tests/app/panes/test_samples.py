"""The samples pane shows test images, as large as fits, above what the net takes them for."""

import dataclasses

import pytest
from rich.style import Style
from textual.pilot import Pilot
from textual.strip import Strip

from cifar_tui.app.panes.samples import SamplesPane, arrange
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.runs.source import SampleBatch
from tests.app.panes.pane_app import PaneApp, batch, resized, settled, until


async def show(pilot: Pilot[None], shown: SampleBatch | None) -> list[str]:
    pilot.app.query_one(SamplesPane).show(shown)
    await settled(pilot)
    assert isinstance(pilot.app, PaneApp)
    return pilot.app.text().splitlines()


def line_of(lines: list[str], *parts: str) -> str:
    return next(line for line in lines if all(part in line for part in parts))


def verdict_style(row: Strip) -> Style:
    """The style of the last words of `row`."""
    return [segment.style for segment in row if segment.text.strip() and segment.style][-1]


async def test_a_batch_takes_the_place_of_the_empty_pane_and_of_the_batch_before() -> None:
    async with PaneApp(SamplesPane()).run_test(size=(80, 18)) as pilot:
        assert line_of(await show(pilot, None), "Test images appear when training starts")

        lines = await show(pilot, batch(2, (None,) * 4))
        assert "not predicted yet" in lines[0]
        assert line_of(lines, " cat", "–").count("–") == 2
        assert not any("✓" in line or "✗" in line for line in lines)
        pictures = pilot.app.query_one(StripView).plain

        lines = await show(pilot, batch(2))
        assert "3 Samples · 3/2,500 · predicted at step 12,000" in lines[0]
        assert "keys [ and ]: previous, next batch · w: wrong only" in lines[-1]
        assert "✓ right" in line_of(lines, "cat", "25.0 %")
        assert "✗ wrong" in line_of(lines, "ship", "car", "37.5 %")
        assert sum("✓ right" in line for line in lines) == 3
        assert pilot.app.query_one(StripView).plain == pictures

        lines = await show(pilot, batch(3, ("dog",) * 4))
        assert "· 4/2,500 ·" in lines[0]
        assert sum("✗ wrong" in line for line in lines) == 4
        assert pilot.app.query_one(StripView).plain != pictures

        only = SampleBatch(number=4, count=5, step=1, samples=batch(4).samples[:1])
        lines = await show(pilot, only)
        assert sum("✓ right" in line or "✗ wrong" in line for line in lines) == 1


async def test_a_prediction_that_becomes_right_for_another_image_has_the_colour_of_right() -> None:
    async with PaneApp(SamplesPane()).run_test(size=(80, 18)) as pilot:

        def colours() -> list[object]:
            labels = pilot.app.query_one("#labels", Line)
            return [verdict_style(labels.render_line(row)).color for row in (1, 2)]

        await show(pilot, batch(predicted=("ship",) * 4))
        wrong, right = colours()
        samples = batch(predicted=("ship",) * 4).samples
        await show(pilot, dataclasses.replace(batch(), samples=samples[1:2] + samples[:1]))
        assert colours() == [right, wrong]
        assert right != wrong, "which tells them apart"


async def test_nothing_is_cut_off_at_any_size() -> None:
    async with PaneApp(SamplesPane()).run_test(size=(60, 20)) as pilot:
        pane, table = pilot.app.query_one(SamplesPane), pilot.app.query_one("#labels", Line)
        await show(pilot, batch())
        for size in ((78, 18), (80, 18), (68, 48), (150, 20)):
            await resized(pilot, *size)
            lines = await show(pilot, batch())
            for widget in (pilot.app.query_one(StripView), table):
                assert pane.content_region.contains_region(widget.region), size
            for part in ("Image", "GroundTruth", "Predicted", "Confidence", "✗ wrong"):
                assert line_of(lines, part), size


async def test_pictures_are_drawn_again_only_for_other_images_or_another_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[object] = []
    async with PaneApp(SamplesPane()).run_test(size=(80, 18)) as pilot:
        canvas = pilot.app.query_one(StripView)
        monkeypatch.setattr(canvas, "show", drawn.append)
        await show(pilot, batch())
        await show(pilot, batch(predicted=("dog",) * 4))
        assert len(drawn) == 1
        await pilot.resize_terminal(150, 40)
        await until(pilot, lambda: len(drawn) == 2)


async def test_pictures_are_not_painted_again_when_their_predictions_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painted: list[int] = []
    async with PaneApp(SamplesPane()).run_test(size=(80, 18)) as pilot:
        await show(pilot, batch())
        canvas = pilot.app.query_one(StripView)
        render_line = canvas.render_line
        monkeypatch.setattr(canvas, "render_line", lambda y: painted.append(y) or render_line(y))
        lines = await show(pilot, batch(predicted=("dog",) * 4))
        assert not painted
        assert sum("✗ wrong" in line for line in lines) == 4
        later = dataclasses.replace(batch(), step=14_000)
        assert "predicted at step 14,000" in (await show(pilot, later))[0]
        assert not painted


@pytest.mark.parametrize(
    ("count", "width", "height", "expected"),
    [
        (4, 66, 41, (2, 32)),
        (4, 134, 17, (4, 32)),
        (4, 76, 11, (4, 16)),
        (4, 30, 60, (1, 28)),
        (4, 30, 4, (0, 0)),
    ],
)
def test_the_largest_grid_that_fits_is_chosen(
    count: int, width: int, height: int, expected: tuple[int, int]
) -> None:
    assert arrange(count, width, height) == expected
