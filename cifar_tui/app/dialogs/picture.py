"""One test image, as large as fits, with what the network makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import MouseScrollDown, MouseScrollUp
from textual.widgets import Static

from cifar_tui.app.charts.gallery import RIGHT, WRONG, PictureCache
from cifar_tui.app.charts.pictures import has_few_colours
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.app.widgets.footer import Footer
from cifar_tui.app.widgets.line import Line, bar
from cifar_tui.app.widgets.nearest_panel import NearestPanel
from cifar_tui.app.widgets.strip_view import StripView
from cifar_tui.engine.text import cell_width, cut_names, cut_path, escaped, escaped_name
from cifar_tui.runs.format import loss_figure
from cifar_tui.runs.nearest import NearestSearch
from cifar_tui.runs.results import Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORDS_WIDTH, _WIDEST_WORDS = 30, 60
"""Columns beside the picture: at least, and at most."""

_GAP = 2
_STRIP_ROWS, _PICTURE_ROWS, _SIDE_WIDTH = 11, 16, 36
"""The least for the nearest images below the picture, for the picture above, and for those beside it."""

_LONGEST_NAME, _SHORTEST_BAR = 20, 6
_PER_CENT = len(" 100.0 % ")


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureLayout:
    """The columns, and of the nearest images the rows, of what is shown; 0 for nothing.

    Attributes:
        picture: columns of the picture.
        words: columns of what is said of it, at its right.
        nearest: columns and rows of the nearest training images.
        below: whether they are below all; otherwise they are at the right.
    """

    picture: int
    words: int
    nearest: tuple[int, int] = (0, 0)
    below: bool = False


def picture_layout(width: int, height: int, *, nearest: bool) -> PictureLayout:
    """Lay out a picture with what is said of it, and with the `nearest` training images.

    These take rows only where the picture keeps all its pixels, and the place of the words where there is no
    room for both.
    """
    strip = max(_STRIP_ROWS, height // 3)
    below = nearest and height >= strip + _PICTURE_ROWS
    rows = height - strip if below else height
    picture = max(1, min(width - _WORDS_WIDTH - 2 * _GAP, 2 * rows))
    rest = max(1, width - picture - _GAP)
    words = max(1, min(_WIDEST_WORDS, rest - _GAP))
    if below:
        return PictureLayout(picture=picture, words=words, nearest=(width, strip), below=True)
    if not nearest:
        return PictureLayout(picture=picture, words=words)
    beside = rest - _WORDS_WIDTH - _GAP
    if beside >= _SIDE_WIDTH:
        return PictureLayout(picture=picture, words=_WORDS_WIDTH, nearest=(beside, height))
    return PictureLayout(picture=picture, words=0, nearest=(rest, height))


class PictureScreen(Dialog[int]):
    """Shows the images at `selected` in the test set one at a time; dismissed with the place of the last.

    Args:
        results: whose images.
        selected: their positions in the test set.
        place: which of them to begin with.
        title: what they have in common.
        search: finds the training images nearest to them; None for none.
    """

    DEFAULT_CSS = """
    PictureScreen {
        align: left top;
        background: $background;

        #picture-title { width: 1fr; padding: 0 1; background: $panel; }
        #picture-row { height: 1fr; width: 1fr; align: center middle; }
        #picture { height: auto; width: auto; margin-right: 2; }
        #words { height: auto; max-height: 100%; margin-right: 2; }
        #nearest.-below { dock: bottom; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back", key_display="esc"),
        Binding("enter,q,v", "close", show=False),
        Binding(
            "left_square_bracket,left,up,h,k,pageup",
            "step(-1)",
            "Previous",
            key_display="[",
            tooltip="Show the image before, in the same order",
        ),
        Binding(
            "right_square_bracket,right,down,l,j,pagedown",
            "step(1)",
            "Next",
            key_display="]",
            tooltip="Show the next image",
        ),
        Binding("home,g", "go(0)", show=False),
        Binding("end,G", "go(-1)", show=False),
        Binding(
            "n",
            "nearest",
            "Nearest",
            tooltip="Show or hide the training images nearest to it in the features of the last layer",
        ),
        Binding(
            "y",
            "app.copy_value",
            "Copy",
            tooltip="Copy the path of its file, or what is known of it, to the clipboard",
        ),
    ]

    def __init__(
        self,
        results: Results,
        selected: Sequence[int],
        place: int,
        title: str,
        search: NearestSearch | None = None,
    ) -> None:
        super().__init__()
        self._results = results
        self._selected = selected
        self._place = place
        self._title = title
        self._search = search
        self._nearest: bool | None = None

    def compose(self) -> ComposeResult:
        yield Line(id="picture-title")
        with Horizontal(id="picture-row"):
            yield StripView(id="picture")
            yield Static(id="words")
            if self._search is not None:
                yield NearestPanel(self._search, self._results, id="nearest")
        yield Footer()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def leave(self) -> None:
        self.action_close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        return action != "nearest" or self._search is not None

    def action_close(self) -> None:
        self.dismiss(self._place)

    def action_step(self, images: int) -> None:
        """Show the next image; there is none before the first or after the last."""
        self.action_go(max(0, min(self._place + images, len(self._selected) - 1)))

    def action_go(self, place: int) -> None:
        self._place = place % len(self._selected)
        self._draw()

    def action_nearest(self) -> None:
        self._nearest = not self._shows_nearest
        self._draw()

    def value_to_copy(self) -> str:
        """Return the path of the image; of one in no file, what is known of it."""
        return self._results.described(self._position)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_step(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_step(-1)

    @cached_property
    def _pictures(self) -> PictureCache:
        return PictureCache(self._results.images, dithered=has_few_colours(self.app.console))

    @property
    def path(self) -> str:
        """The file of the image; "" if it is in none."""
        return self._results.path_of(self._position)

    @property
    def _position(self) -> int:
        return self._selected[self._place]

    @property
    def _room(self) -> tuple[int, int]:
        return self.size.width, self.size.height - 2

    @property
    def _shows_nearest(self) -> bool:
        """Whether to show the nearest images: unless the user chose, where place and time allow it."""
        if self._search is None or self._nearest is not None:
            return bool(self._nearest)
        return self._search.is_cheap and picture_layout(*self._room, nearest=True).words > 0

    def _draw(self) -> None:
        layout = picture_layout(*self._room, nearest=self._shows_nearest)
        view, words = self.query_one("#picture", StripView), self.query_one("#words", Static)
        lines = self._pictures.lines(self._position, layout.picture)
        view.styles.width, view.styles.height = layout.picture, len(lines)
        view.show(lines)
        words.display = layout.words > 0
        words.styles.width = layout.words
        words.update(self._words(max(1, layout.words)))
        for panel in self.query(NearestPanel):
            self._draw_nearest(panel, layout)
        count = f"{self._place + 1:,} of {len(self._selected):,}"
        title = Content.assemble((f"Image {self._position:,}", "bold"), f" · {count} · {self._title}")
        self.query_one("#picture-title", Line).show(title)

    def _draw_nearest(self, panel: NearestPanel, layout: PictureLayout) -> None:
        width, height = layout.nearest
        panel.display = width > 0
        if not width:
            panel.stop()
            return
        panel.set_class(layout.below, "-below")
        panel.styles.width, panel.styles.height = width, height
        panel.find(self._position)

    def _words(self, width: int) -> Content:
        """The label, the prediction, the loss, the top classes and the file."""
        results, position = self._results, self._position
        made, names = results.predictions, cut_names(results.class_names, _LONGEST_NAME)
        truth, predicted = int(made.targets[position]), int(made.predicted[position])
        is_right = truth == predicted
        verdict = (
            (f"{RIGHT} right", "bold $text-success") if is_right else (f"{WRONG} wrong", "bold $text-error")
        )
        lines = [
            Content.assemble(verdict),
            _line("GroundTruth", _whole(results.class_names[truth], width)),
            _line("Predicted", _whole(results.class_names[predicted], width)),
            _line("Loss", loss_figure(float(made.losses[position]))),
            Content(),
            *_bars(names, made.top_classes[position], made.top_confidences[position], truth, width),
        ]
        if self.path:
            lines += [Content(), Content.styled("File (y copies the path)", "$foreground 60%")]
            lines += [Content(escaped(self.path))]
        if made.step is not None:  # last: the least to be missed where there is no room for all
            lines += [Content(), Content.styled(f"predicted at step {made.step:,}", "$foreground 60%")]
        return Content("\n").join(lines)


def _whole(name: str, width: int) -> str:
    return cut_path(escaped_name(name), max(1, width - len("GroundTruth ")))


def _line(label: str, value: str) -> Content:
    return Content.assemble((f"{label:<11} ", "$foreground 60%"), (value, "bold"))


def _bars(
    names: Sequence[str],
    classes: "NDArray[np.integer]",
    confidences: "NDArray[np.float32]",
    truth: int,
    width: int,
) -> list[Content]:
    """A bar for each of the top classes; the true one is marked."""
    shown = [names[int(index)] for index in classes]
    widest = max(map(cell_width, shown), default=0)
    bar_width = max(_SHORTEST_BAR, width - widest - _PER_CENT - len(f" {RIGHT}"))
    lines = []
    for index, name, confidence in zip(classes.tolist(), shown, confidences.tolist(), strict=True):
        is_truth = index == truth
        style = "$text-success" if is_truth else "$text-accent"
        lines.append(
            Content.assemble(
                (name, "bold" if is_truth else ""),
                " " * (widest - cell_width(name)),
                f" {100 * confidence:5.1f} % ",
                bar(confidence, bar_width, style),
                (f" {RIGHT}" if is_truth else "", "bold"),
            )
        )
    return lines
