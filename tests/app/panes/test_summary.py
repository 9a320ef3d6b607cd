"""The summary pane says how good the net is, in the tutorial's words and exactly."""

import pytest
from textual.pilot import Pilot

from cifar_tui.app.panes.summary import SummaryPane, class_bars, class_lines
from cifar_tui.engine.events import ClassAccuracy, Event
from tests.app.panes.pane_app import CLASSES, PaneApp, done, evaluated, settled, state, trained, until


async def show(pilot: Pilot[None], events: list[Event]) -> str:
    pilot.app.query_one(SummaryPane).show(state(events).snapshot())
    await settled(pilot)
    assert isinstance(pilot.app, PaneApp)
    return pilot.app.text()


async def test_an_intermediate_and_the_final_evaluation_take_the_place_of_the_empty_pane() -> None:
    async with PaneApp(SummaryPane()).run_test(size=(80, 18)) as pilot:
        assert "Accuracy per class appears after the first evaluation" in await show(pilot, trained())

        text = await show(pilot, [*trained(), evaluated(final=False)])
        assert "~ intermediate weights" in text
        assert "✓" not in text

        text = await show(pilot, done())
        for part in (
            "Accuracy of the network on the 10000 test images: 53 %",
            "53.50 % · 5,350 of 10,000 correct",
            "✓ saved weights · step 25,000",
            "test loss 1.312 · trained in 32 s · 3,125 images/s whole run",
            "saved in checkpoints/run",
            *CLASSES,
        ):
            assert part in text
        assert [line.split()[1] for line in text.splitlines() if "▲ best" in line] == ["truck"]
        assert [line.split()[1] for line in text.splitlines() if "▼ worst" in line] == ["plane"]


@pytest.mark.parametrize("width", [20, 36, 42, 76, 140])
@pytest.mark.parametrize("names", [("a", "b"), CLASSES, tuple(f"a rather long name {n}" for n in range(300))])
def test_class_bars_fit_their_width(width: int, names: tuple[str, ...]) -> None:
    classes = tuple(ClassAccuracy(name=name, correct=n % 90, total=90) for n, name in enumerate(names))
    lines = class_bars(classes, max(width, 34))
    assert len(lines) == len(names)
    assert max(line.cell_length for line in lines) <= max(width, 34)


def test_longer_bars_are_better_classes() -> None:
    classes = tuple(ClassAccuracy(name=name, correct=n, total=2) for n, name in enumerate("abc"))
    assert [line.plain.count("━") for line in class_bars(classes, 60)] == sorted(
        line.plain.count("━") for line in class_bars(classes, 60)
    )


def test_a_class_without_test_images_says_so() -> None:
    classes = (
        ClassAccuracy(name="a", correct=0, total=0),
        ClassAccuracy(name="b", correct=1, total=2),
        ClassAccuracy(name="c", correct=2, total=2),
    )
    assert "no test images" in class_bars(classes, 60)[0].plain


async def test_hundreds_of_classes_scroll_by_keys() -> None:
    async with PaneApp(SummaryPane()).run_test(size=(40, 10)) as pilot:
        await show(pilot, [*trained(), evaluated(tuple(range(300)))])
        pilot.app.query_one(SummaryPane).focus()
        await pilot.press("j")
        await until(pilot, lambda: pilot.app.query_one(SummaryPane).scroll_y == 1)
        await pilot.press("G")
        await settled(pilot)
        assert "class 299" in (await show(pilot, [*trained(), evaluated(tuple(range(300)))]))


async def test_bars_follow_the_size() -> None:
    async with PaneApp(SummaryPane()).run_test(size=(80, 18)) as pilot:
        wide = (await show(pilot, done())).count("━")
        await pilot.resize_terminal(44, 18)
        app = pilot.app
        assert isinstance(app, PaneApp)
        await until(pilot, lambda: 0 < app.text().count("━") < wide)
        await until(
            pilot, lambda: any("plane" in row and "▼ worst" in row for row in app.text().splitlines())
        )


def test_of_many_classes_the_worst_and_the_best_come_first() -> None:
    classes = tuple(
        ClassAccuracy(name=f"a class with a long name {k:03}", correct=k, total=100) for k in range(100)
    )
    lines = [line.plain for line in class_lines(classes, 60)]
    assert (lines[0].strip(), lines[6].strip(), lines[12].strip()) == ("worst 5", "best 5", "all 100 classes")
    assert [line.split("%")[0].split()[-1] for line in lines[1:6]] == ["0.0", "1.0", "2.0", "3.0", "4.0"]
    assert [line.split("%")[0].split()[-1] for line in lines[7:9]] == ["99.0", "98.0"]
    assert sum("▼ worst" in line for line in lines) == 2, "where it is first, and among all"
    assert all("…" in line for line in lines[1:6]), "a long name is cut"
    assert {len(line) for line in lines[13:]} <= set(range(61))
    assert len(class_lines(classes[:20], 60)) == 20
