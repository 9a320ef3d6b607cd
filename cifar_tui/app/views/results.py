"""The Results view: what the latest evaluation says, from the matrix down to a single image."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from cifar_tui.app.clipboard import COPY
from cifar_tui.app.commands import COMMANDS
from cifar_tui.app.dialogs.keys import KeyHelp, key_rows, key_table
from cifar_tui.app.dialogs.picture import PictureScreen
from cifar_tui.app.panes.classes import ClassesPane, ClassTable
from cifar_tui.app.panes.confidence import ConfidencePane
from cifar_tui.app.panes.confusion import ConfusionPane, MatrixView, ShowImages
from cifar_tui.app.panes.gallery import GalleryPane, filter_words
from cifar_tui.app.views.paned import PanedScreen
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.gallery_view import GalleryView
from cifar_tui.app.widgets.line import Line
from cifar_tui.engine.text import cut
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.nearest import NearestSearch
from cifar_tui.runs.results import ImageFilter, Results
from cifar_tui.runs.source import RunSource

POLL_SECONDS = 1.0
"""How often a new evaluation is looked for."""

PANES: dict[str, type[ConfusionPane | ClassesPane | GalleryPane | ConfidencePane]] = {
    "confusion": ConfusionPane,
    "classes": ClassesPane,
    "gallery": GalleryPane,
    "confidence": ConfidencePane,
}
"""The panes by name, in the order of their numbers from 1."""

_BESIDE = ("confusion", "classes", "gallery", "confidence")
_STACKED = ("confusion", "gallery", "classes", "confidence")
"""The panes in the order in which the grid places them: the gallery below the matrix, or at its right."""

_LONGEST_LABEL = 28
_MATRIX_ROWS = 4
"""Rows of the matrix beside its classes: frame, heading and the cell in words."""
_LEAST_MATRIX = 10

_OF_EVERY_VIEW = {"toggle_pause", "runs", "command_palette", "suspend"}
"""Actions of the app that do here what they do in Train; the keys of all others would act unseen."""


class ResultsScreen(PanedScreen[None]):
    """Shows the latest evaluation of the run that `run` returns, and follows it.

    Args:
        run: returns the run that is shown, None without one.
        label: returns what the user calls it.
        size: see `PanedScreen`.
        search: returns what finds the training images nearest to test images of the run; None for none.
    """

    AUTO_FOCUS = ""
    PANES = tuple(PANES)
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"show_pane('{name}')", name.capitalize(), show=False)
            for number, name in enumerate(PANES, 1)
        ),
        Binding("w", "wrong_only", "Wrong only", show=False),
        COPY,
        # with priority, so that keys typed ahead reach the field
        Binding(
            "slash",
            "find",
            "Find file",
            show=False,
            key_display="/",
            priority=True,
            tooltip="Show only the images with a text in the name of their file (esc clears it)",
        ),
        Binding("m", "maximise", "Maximise", tooltip="Maximise the pane, or show all panes again"),
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding(
            "escape",
            "back",
            "Back",
            key_display="esc",
            tooltip="Go one step back: to the cell, to all images, to all panes, to Train",
        ),
        Binding("f1,q,v", "dismiss(None)", "Train", show=False),
    ]

    def __init__(
        self,
        run: Callable[[], RunSource | None],
        label: Callable[[RunSource], str],
        size: Size,
        search: Callable[[RunSource], NearestSearch] | None = None,
    ) -> None:
        super().__init__(size)
        self._run = run
        self._label = label
        self._search = search
        self._shown: Results | None = None
        self._arranged: tuple[bool, int] | None = None
        self._came_from: tuple[str, ImageFilter] | None = None
        own = {binding.key for binding in Binding.make_bindings(self.BINDINGS)}
        for command in COMMANDS:
            acts_here = command.action in _OF_EVERY_VIEW or command.request is Request.EVALUATE
            if not acts_here and not command.everywhere:
                for key in {*command.keys.split(",")} - own:
                    self._bindings.bind(key, "nothing", show=False)

    def compose(self) -> ComposeResult:
        yield Line(id="results-title")
        yield from self.compose_panes(PANES)
        yield self.too_small_notice()
        yield Footer()

    def on_mount(self) -> None:
        self._show(None)
        self._poll()
        self.show_pane(self.PANES[0])
        self.set_interval(POLL_SECONDS, self._poll)

    def on_resize(self) -> None:
        super().on_resize()
        self._arrange()
        self._draw_title()

    @property
    def gallery(self) -> GalleryPane:
        """The images."""
        return self.query_one(GalleryPane)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "find":
                return not self.gallery.finding
            case "maximise":
                return self.has_room_for_all
            case _:
                return super().check_action(action, parameters)

    # What the keys do

    def action_nothing(self) -> None:
        """Take a key that would act unseen."""

    def action_show_pane(self, name: str) -> None:
        self._came_from = None
        super().action_show_pane(name)

    def action_maximise(self) -> None:
        if self.has_room_for_all:
            self.maximise()

    def action_wrong_only(self) -> None:
        self.gallery.action_wrong_only()

    def action_find(self) -> None:
        if self.focused_pane != "gallery":
            self.action_show_pane("gallery")
        self.gallery.find()

    def action_back(self) -> None:
        """Return to the cell, show all images, show all panes again, or leave: the first that is possible."""
        if self._came_from is not None and self.focused_pane == "gallery":
            (name, before), self._came_from = self._came_from, None
            now = self.gallery.filter
            self.gallery.show_images(replace(before, sort=now.sort, descending=now.descending))
            self.show_pane(name)
        elif self.focused_pane == "gallery" and self.gallery.is_narrowed:
            self.gallery.action_show_all()
        elif self.is_maximised:
            self.maximise()
        else:
            self.dismiss(None)

    def action_keys(self) -> None:
        self.app.push_screen(ResultsHelp("Results"))

    def on_show_images(self, event: ShowImages) -> None:
        """Show the images of a cell, a class or a pair; esc goes back to it."""
        before = self.gallery.filter
        self._came_from = (self.focused_pane or self.default_pane, before)
        self.gallery.show_images(replace(event.chosen, sort=before.sort, descending=before.descending))
        self.show_pane("gallery")

    def on_gallery_view_opened(self) -> None:
        """Show the image under the cursor large."""
        view, results, run = self.gallery.view, self.gallery.results, self._run()
        if results is None or run is None:
            return
        selected = view.selected

        def on_close(place: int | None) -> None:
            if place is not None:
                view.point_at(selected[place])

        title = " · ".join(filter_words(results, self.gallery.filter)) or "all images"
        search = None if self._search is None else self._search(run)
        self.app.push_screen(PictureScreen(results, selected, view.cursor, title, search), on_close)

    # What is shown

    def _poll(self) -> None:
        """Show the latest evaluation if there is a new one."""
        run = self._run()
        results = run.results() if run is not None else None
        if results is not self._shown:
            self._show(results)

    def _show(self, results: Results | None) -> None:
        self._shown = results
        self._draw_title()
        for name, kind in PANES.items():
            self.query_one(f"#{name}", kind).show(results)
        self._arrange()

    def _draw_title(self) -> None:
        run, line = self._run(), self.query_one("#results-title", Line)
        title = _title(self._shown, self._label(run) if run is not None else "")
        room = self.size.width - 2 - title.cell_length
        if room > _TABS.cell_length:
            title += Content(" " * (room - _TABS.cell_length)) + _TABS
        line.show(title)

    def _arrange(self) -> None:
        """Place the panes: the gallery below the matrix, or at its right where there is room."""
        very_wide = self.has_class("-very-wide")
        rows = 3 if very_wide else 2
        classes = len(self._shown.class_names) if self._shown is not None else 0
        matrix = max(_LEAST_MATRIX, min(classes + _MATRIX_ROWS, (self.size.height - 2) // rows))
        arranged = very_wide, matrix
        if arranged == self._arranged:  # each costs a layout, and new results need none
            return
        self._arranged = arranged
        panes = self.query_one("#panes", Grid)
        for before, name in pairwise(_STACKED if very_wide else _BESIDE):
            panes.move_child(self.pane(name), after=self.pane(before))
        panes.styles.grid_rows = f"{matrix} {matrix - 1} 1fr" if very_wide else f"{matrix} 1fr"


class ResultsHelp(KeyHelp):
    """The keys of the panes."""

    def compose_body(self) -> ComposeResult:
        groups = {
            "Confusion": MatrixView.BINDINGS,
            "Classes": ClassTable.BINDINGS,
            "Gallery": (*GalleryPane.BINDINGS, *GalleryView.BINDINGS),
            "One image": PictureScreen.BINDINGS,
            "Confidence": ConfidencePane.BINDINGS,
            "Everywhere": ResultsScreen.BINDINGS,
        }
        yield Static(_HELP, classes="help-text", markup=False)
        yield Static(key_table({name: key_rows(bindings) for name, bindings in groups.items()}))


_HELP = (
    "1 to 4 go to a pane. Arrows or hjkl move in it, a click too; enter or a double click opens what is at "
    "the cursor. Rows of the matrix are the true classes, columns the predicted ones. Under each picture are "
    "its GroundTruth and, after ✓ right or ✗ wrong, what was predicted with which confidence."
)

_TABS = Content.from_markup(
    "[@click=screen.dismiss(None)]Train[/] f1 · [bold]Results[/] f2 · [@click=app.runs]Runs[/] f3"
)


def _title(results: Results | None, label: str) -> Content:
    parts = [("Results", "bold"), (f" · {cut(label, _LONGEST_LABEL)}" if label else "", "")]
    if results is None:
        return Content.assemble(*parts, " · not evaluated yet")
    predictions = results.predictions
    correct, total = int((predictions.predicted == predictions.targets).sum()), len(predictions.targets)
    step = f" · step {predictions.step:,}" if predictions.step is not None else ""
    accuracy = f"test {100 * correct / total:.2f} %"
    return Content.assemble(*parts, " · ", (accuracy, "bold"), f" · {correct:,} of {total:,} correct{step}")
