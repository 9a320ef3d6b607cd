"""The test images with their predictions: filtered, sorted and paged."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from cifar_tui.app.dialogs.choices import Choices
from cifar_tui.app.widgets.gallery_view import GalleryView
from cifar_tui.app.widgets.pane import Pane
from cifar_tui.app.widgets.text_input import TextInput
from cifar_tui.engine.text import cut_names, cut_path
from cifar_tui.runs.results import ImageFilter, Results, SortKey

_LONGEST_NAME, _LONGEST_TEXT = 20, 24
_LONGEST_CHOICE = 36
_ANY = "any"
_ANY_CHOICE = f" {_ANY}"
"""No class has this name: its blank would be escaped."""


class FileInput(TextInput):
    """The text to look for in the names of the files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "submit", "Keep filter", show=False),
        Binding("escape", "clear", "Show all", key_display="esc"),
    ]

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Submitted(self, ""))


class GalleryPane(Pane):
    """The images that pass a filter, in its order."""

    DEFAULT_CSS = """
    GalleryPane {
        layout: vertical;
        padding: 0 0 0 1;

        GalleryView { height: 1fr; width: 1fr; }
        FileInput { display: none; width: 1fr; }
        &.-filled.-finding FileInput { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wrong_only", "Wrong only", tooltip="Show only the images that were not recognised"),
        Binding("c", "choose('truth')", "GroundTruth", tooltip="Show only the images of a class"),
        Binding("p", "choose('predicted')", "Predicted", tooltip="Show only images predicted as a class"),
        Binding(
            "s",
            "sort",
            "Sort",
            key_display="s/S",
            tooltip="Sort the images by index, confidence or loss, or reverse (S)",
        ),
        Binding("S", "reverse", show=False),
        Binding("a", "show_all", "All", show=False, tooltip="Show all images again"),
    ]

    BORDER_TITLE = "3 Gallery"
    EMPTY_TEXT = "The test images with their predictions appear after the first evaluation"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._results: Results | None = None
        self.filter = ImageFilter()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield FileInput(placeholder="text in the name of the file", compact=True)
        yield GalleryView(id="gallery-view").add_class("content")

    @property
    def view(self) -> GalleryView:
        """The pictures."""
        return self.query_one(GalleryView)

    @property
    def results(self) -> Results | None:
        """What is shown."""
        return self._results

    @property
    def finding(self) -> bool:
        """Whether the field for the text in the names of files has the focus."""
        return self.query_one(FileInput).has_focus

    @property
    def is_narrowed(self) -> bool:
        """Whether some images are left out."""
        shown = self.filter
        return shown.truth is not None or shown.predicted is not None or shown.wrong_only or bool(shown.text)

    def show(self, results: Results | None) -> None:
        """Show the latest evaluation; None before the first."""
        self._results = results
        self.fill(filled=results is not None)
        self._select()

    def show_images(self, chosen: ImageFilter) -> None:
        """Show the images that pass `chosen`, from the first one."""
        self.filter = chosen
        field = self.query_one(FileInput)
        with self.prevent(Input.Changed):
            field.value = chosen.text
        self.set_class(bool(chosen.text) or self.finding, "-finding")
        self._select_from_start()

    def find(self) -> None:
        """Open the field for a text in the names of the files, or say that there are none."""
        if self._results is None or not self._results.files:
            self.notify("These images have no file names to search.", severity="warning")
            return
        self.add_class("-finding")
        self.screen.set_focus(self.query_one(FileInput))

    def action_wrong_only(self) -> None:
        self.show_images(replace(self.filter, wrong_only=not self.filter.wrong_only))

    def action_choose(self, which: str) -> None:
        """Ask for the class of the images, the "truth" or the one "predicted"."""
        results = self._results
        if results is None:
            return
        names = cut_names(results.class_names, _LONGEST_CHOICE)
        counts = [entry.support if which == "truth" else entry.predicted for entry in results.classes]
        choices = {_ANY_CHOICE: ""} | {
            name: _images(count) for name, count in zip(names, counts, strict=True)
        }

        def on_choice(choice: str | None) -> None:
            if choice is None:
                return
            index = names.index(choice) if choice != _ANY_CHOICE else None
            if which == "truth":
                self.show_images(replace(self.filter, truth=index))
            else:
                self.show_images(replace(self.filter, predicted=index))

        now = self.filter.truth if which == "truth" else self.filter.predicted
        title = "GroundTruth" if which == "truth" else "Predicted"
        self.app.push_screen(Choices(title, choices, _ANY_CHOICE if now is None else names[now]), on_choice)

    def action_sort(self) -> None:
        """Sort by the next figure, the highest confidence or loss first."""
        keys = list(SortKey)
        key = keys[(keys.index(self.filter.sort) + 1) % len(keys)]
        self.show_images(replace(self.filter, sort=key, descending=key is not SortKey.INDEX))

    def action_reverse(self) -> None:
        self.show_images(replace(self.filter, descending=not self.filter.descending))

    def action_show_all(self) -> None:
        self.show_images(ImageFilter(sort=self.filter.sort, descending=self.filter.descending))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.filter = replace(self.filter, text=event.value)
        self._select_from_start()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_class(bool(self.filter.text), "-finding")
        self.screen.set_focus(self.view)

    def on_gallery_view_moved(self) -> None:
        self._draw_border()

    def on_resize(self) -> None:
        self._draw_border()

    def _select_from_start(self) -> None:
        """Show the images of a new filter from the first one."""
        self._select()
        self.view.action_end(-1)

    def _select(self) -> None:
        if self._results is None:
            self._draw_border()
            return
        classes = len(self._results.class_names)
        if max(self.filter.truth or 0, self.filter.predicted or 0) >= classes:  # of another dataset
            self.filter = replace(self.filter, truth=None, predicted=None)
        selected = self._results.selected(self.filter)
        self.view.show_images(self._results, selected.tolist(), self.filter.sort)
        self._draw_border()

    def _draw_border(self) -> None:
        if self._results is None:
            self.write_border(title=Content(self.BORDER_TITLE), subtitle=Content())
            return
        count, shown = len(self.view.selected), self.view.shown
        title = " · ".join((self.BORDER_TITLE, *filter_words(self._results, self.filter), _images(count)))
        place = f"{shown.start + 1:,}–{shown.stop:,}" if len(shown) > 1 else f"{shown.stop:,}"
        place = f"{place} of {count:,}" if count else ""
        if place and not self.styles.border_bottom[0]:  # nor a place for a subtitle
            title += f" · {place}"
        self.write_border(title=Content(title), subtitle=Content(place))


def filter_words(results: Results, chosen: ImageFilter) -> list[str]:
    """Say which images pass `chosen`, and their order unless it is that of the test set."""
    names = cut_names(results.class_names, _LONGEST_NAME)
    words = []
    if chosen.predicted is not None:
        truth = _ANY if chosen.truth is None else names[chosen.truth]
        words.append(f"{truth} → {names[chosen.predicted]}")
    elif chosen.truth is not None:
        words.append(names[chosen.truth])
    if chosen.wrong_only:
        words.append("wrong only")
    if chosen.text:
        words.append(f'file "{cut_path(chosen.text, _LONGEST_TEXT)}"')
    if chosen.sort is not SortKey.INDEX or chosen.descending:
        words.append(f"by {chosen.sort.value} {'▼' if chosen.descending else '▲'}")
    return words


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
