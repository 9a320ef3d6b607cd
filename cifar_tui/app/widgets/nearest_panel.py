"""The training images nearest to a test image, or how far the search for them is."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from cifar_tui.app.charts.gallery import PictureCache
from cifar_tui.app.charts.nearest import DIFFERENT, nearest_layout, nearest_lines
from cifar_tui.app.charts.palette import Palette
from cifar_tui.app.charts.pictures import has_few_colours
from cifar_tui.app.widgets.line import Line
from cifar_tui.app.widgets.loading import LoadingView
from cifar_tui.app.widgets.strip_view import DrawnView
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.text import cell_width, cut_path, escaped, escaped_name
from cifar_tui.runs.nearest import NearestImages, NearestSearch
from cifar_tui.runs.results import Results

if TYPE_CHECKING:
    from textual.worker import Worker

_PROGRESS_SECONDS = 0.2
_LONGEST_NAME = 12
_TITLE, _SHORT_TITLE = "Nearest training images", "Nearest"


class NearestPictures(DrawnView):
    """As many of the nearest training images as fit."""

    def __init__(self) -> None:
        super().__init__()
        self._found: NearestImages | None = None
        self._truth = ""
        self._pictures: PictureCache | None = None

    def show_images(self, found: NearestImages | None, truth: str) -> None:
        """Show the images near to one of the class `truth`; None for none."""
        self._found, self._truth, self._pictures = found, truth, None
        if found is not None:
            pictures = [near.image for near in found.images]
            self._pictures = PictureCache(pictures, dithered=has_few_colours(self.app.console))
        self.redraw()

    def redraw(self) -> None:
        if self._found is None or self._pictures is None or not self.size:
            self.show([])
            return
        palette = Palette.from_theme(self.app.theme_variables)
        layout = nearest_layout(*self.size)
        self.show(nearest_lines(self._found, self._truth, layout, self._pictures, palette))


class NearestPanel(Vertical):
    """Finds and shows the training images nearest to test images, one of them at a time.

    Args:
        search: finds them.
        results: the test images.
    """

    DEFAULT_CSS = """
    NearestPanel {
        padding: 0 0 0 1;

        #nearest-title { text-style: bold; }
        LoadingView { height: 4; display: none; }
        #nearest-words { height: auto; max-height: 6; width: 1fr; }
        NearestPictures { height: 1fr; width: 1fr; }
    }
    """

    def __init__(self, search: NearestSearch, results: Results, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._search = search
        self._results = results
        self._position: int | None = None
        self._found: NearestImages | None = None
        self._worker: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="nearest-title")
        yield LoadingView()
        yield Static(id="nearest-words", markup=False)
        yield NearestPictures()

    def on_mount(self) -> None:
        self._timer = self.set_interval(_PROGRESS_SECONDS, self._show_progress, pause=True)

    def on_resize(self) -> None:
        self._draw_title()

    def find(self, position: int) -> None:
        """Show the training images nearest to the test image at `position`.

        A search for another image continues until the features are computed, which serve this one, too.
        """
        if position == self._position:
            return
        self._position = position
        self._show(None, "")
        if self._worker is None or self._worker.is_finished:
            self.query_one(LoadingView).display = False  # unless it takes time
            self._timer.reset()
            self._timer.resume()
            self._worker = self.run_worker(self._find())

    def stop(self) -> None:
        """Show nothing; a search ends."""
        self._position = None
        self._timer.pause()
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None

    async def _find(self) -> None:
        """Find what is nearest to the image that is shown in the end."""
        found, words, position = None, "", None
        while self._position is not None and position != self._position:
            position = self._position
            try:
                found = await self._search.find(self._results, position)
                words = " · ".join(found.notes)
            except UserError as error:
                found, words = None, f"{error}."
        self._timer.pause()
        self.query_one(LoadingView).display = False
        self._show(found, words)

    def _show_progress(self) -> None:
        """Show how far a search is; one that takes no time shows nothing."""
        view = self.query_one(LoadingView)
        view.display = True
        view.show(self._search.progress)

    def _show(self, found: NearestImages | None, words: str) -> None:
        said = self.query_one("#nearest-words", Static)
        said.display = bool(words)
        said.update(escaped(words))
        self._found = found
        self.query_one(NearestPictures).show_images(found, self._truth)
        self._draw_title()

    def _draw_title(self) -> None:
        title = _title(self._found, self._truth, self.size.width)
        self.query_one("#nearest-title", Line).show(title)

    @property
    def _truth(self) -> str:
        """The class of the test image."""
        results, position = self._results, self._position
        return "" if position is None else results.class_names[int(results.predictions.targets[position])]


def _title(found: NearestImages | None, truth: str, width: int) -> Content:
    """Say how many of the images are of another class, in `width` columns."""
    if found is None:
        return Content(_TITLE)
    if not found.images:
        return Content("No training images")
    count = sum(found.class_names[near.target] != truth for near in found.images)
    if not count:
        return Content(_TITLE)
    words = f"{DIFFERENT} {count} of {len(found.images)} not {cut_path(escaped_name(truth), _LONGEST_NAME)}"
    long = f"{_TITLE} · {words}"
    return Content(long if cell_width(long) < width else f"{_SHORT_TITLE} · {words}")
