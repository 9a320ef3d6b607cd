"""The HTML report: one page that needs nothing else, in which the text of others is text."""

import base64
import html.parser
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cifar_tui.engine.layout import LAST_FILE, SAMPLES_FILE
from cifar_tui.runs.export.html import MISTAKES, html_files
from cifar_tui.runs.export.record import read_record
from tests.hostile import TEXTS
from tests.runs.export.made_runs import made_run


class Page(html.parser.HTMLParser):
    """The texts, tags and attributes of a page."""

    def __init__(self, records):
        super().__init__()
        (file,) = html_files(records, "report.html")
        self.content = file.content.decode()
        self.tags, self.texts, self.attributes, self.cells = [], [], [], []
        self._row = None
        self.feed(self.content)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag == "tr":
            self.cells.append([])
        elif tag in {"td", "th"}:
            self.cells[-1].append("")

    def handle_data(self, data):
        self.texts.append(data)
        if self.cells and self.cells[-1] and self.lasttag in {"td", "th"}:
            self.cells[-1][-1] += data

    @property
    def text(self):
        return " ".join(self.texts)

    def values_of(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture
def made(tmp_path):
    return read_record(made_run(tmp_path / "run", name="mine", learning_rate=0.01))


def test_the_page_has_every_part(made):
    page = Page([made])
    for heading in ("Curves", "Confusion matrix", "Classes", "Most confused", "Environment"):
        assert heading in page.texts
    assert page.tags.count("svg") == 4
    assert ["best test accuracy", f"{100 * made.run.summary.best_accuracy:.2f} %"] in page.cells


def test_the_page_needs_no_network_and_no_script(made):
    page = Page([made])
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not page.values_of("href")
    assert all(source.startswith("data:image/png;base64,") for source in page.values_of("src"))
    assert "url(" not in page.content
    assert "@import" not in page.content


def test_the_page_is_light_dark_and_printable(made):
    content = Page([made]).content
    assert "color-scheme: light dark" in content
    assert "@media (prefers-color-scheme: dark)" in content
    assert "@media print" in content
    assert "&gt;" not in content[content.index("<style>") : content.index("</style>")]


def test_the_worst_mistakes_are_the_most_confident_ones_with_their_pictures(made):
    page = Page([made])
    results = made.results
    wrong = np.flatnonzero(results.predictions.predicted != results.predictions.targets)
    worst = wrong[np.argsort(-results.predictions.confidences[wrong], kind="stable")][:MISTAKES]
    assert 0 < len(worst) == len(page.values_of("src"))
    for place, source in zip(worst, page.values_of("src"), strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        assert np.array_equal(np.asarray(picture), results.images[place])
    names = results.class_names
    captions = [f"truth {names[results.predictions.targets[place]]}" for place in worst]
    assert [text for text in page.texts if text.startswith("truth ")] == captions


def test_files_of_mistakes_are_named(made):
    files = [f"dog/picture {number}.jpg" for number in range(60)]
    page = Page([replace(made, results=replace(made.results, files=files))])
    assert sum("dog/picture" in text for text in page.texts) == len(page.values_of("src"))


def test_without_stored_images_the_page_says_so(tmp_path, made):
    (made.run.folder / SAMPLES_FILE).unlink()
    page = Page([read_record(made.run.folder)])
    assert "the test images are not stored" in page.texts
    assert not page.values_of("src")


def test_pictures_that_cannot_be_read_any_more_are_left_out_and_counted(made):
    usual = len(Page([made]).values_of("src"))
    with (made.run.folder / SAMPLES_FILE).open("r+b") as file:
        file.truncate(file.seek(0, 2) - 30 * 3072)  # the second half of the images
    page = Page([made])
    left = len(page.values_of("src"))
    assert 0 < left < usual
    reason = "the file of the test images has become shorter"
    assert f"{usual - left} left out: their images cannot be read ({reason})" in page.texts


def test_without_stored_predictions_the_page_has_the_accuracies_only(made):
    page = Page([replace(made, results=None)])
    assert "Confusion matrix" not in page.texts
    assert "the predictions for each image are not stored" in page.text
    assert ["class", "images", "accuracy"] in page.cells


def test_a_run_that_has_not_begun_has_a_page(made):
    empty = {"points": (), "epochs": (), "validations": (), "evaluations": (), "data": None}
    page = Page([replace(made, **empty, started=None, results=None)])
    assert "not evaluated yet" in page.texts


def test_settings_that_differ_from_the_preset_come_first_and_are_marked(made):
    rows = Page([made]).cells
    names = [row[0] for row in rows]
    assert names.index("● data") < names.index("● learning_rate") < names.index("epochs")
    assert ["● learning_rate", "0.01"] in rows
    assert "● epochs" not in names


def test_the_environment_is_that_of_the_last_checkpoint(made):
    cells = Page([made]).cells
    for row in (["cifar-tui", "0.1.0"], ["PyTorch", "2.14.1"], ["CPU", "x86_64 AVX2"], ["device", "cpu"]):
        assert row in cells


def test_without_a_checkpoint_the_environment_is_that_of_the_log(made):
    (made.run.folder / LAST_FILE).write_bytes(b"damaged")
    cells = Page([made]).cells
    assert ["backend", "eager"] in cells
    assert "PyTorch" not in [row[0] for row in cells]


def test_several_runs_are_side_by_side_and_then_one_after_the_other(made, tmp_path):
    other = read_record(made_run(tmp_path / "other", name="yours", learning_rate=0.02, seed=1))
    page = Page([made, other])
    assert ["run", "mine", "yours"] in page.cells
    assert ["lr", "0.01", "0.02"] in page.cells
    assert page.tags.count("svg") == 5
    assert page.tags.count("h2") == 3


@pytest.mark.parametrize(
    "text",
    [*TEXTS.values(), "<script>alert(1)</script>", "</style><b>", '"><img src=x onerror=alert(1)>', "&amp;"],
)
def test_the_text_of_others_is_text(made, text):
    usual = set(Page([made]).tags)
    names = tuple(f"{text}{number}" for number in range(3))
    files = [f"{text}/{number}" for number in range(60)]
    run = replace(made.run, title=text, config={"preset": text, text: text})
    page = Page([replace(made, run=run, results=replace(made.results, class_names=names, files=files))] * 2)
    assert set(page.tags) <= usual | {"th", "thead"}
    assert not page.values_of("onerror")
    if text.isprintable() and text.isascii() and len(text) < 30 and text.strip():
        assert any(text in shown for shown in page.texts)
