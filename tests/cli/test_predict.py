"""`cifar-tui predict`: the user's own pictures, classified as an evaluation would."""

import io
import json
import os
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from rich.text import Text

from cifar_tui.engine.models.registry import create_model
from tests.cli.command import assert_one_sentence
from tests.cli.test_output import LOST, shell

NAMES = ("blue", "green", "red")


@pytest.fixture
def weights(tmp_path):
    """Weights of the tutorial's model, of three classes without names."""
    torch.manual_seed(0)
    torch.save(create_model("net", num_classes=3).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def assumed(weights):
    """What is said of weights that do not name the images they were trained on."""
    return (
        f"cifar-tui: '{weights}' does not say what it was trained on: assuming images of 32×32 pixels, and "
        "inputs from -1 to 1\n"
    )


@pytest.fixture
def predict(cli, weights):
    """Gives the result of the command for those weights, without the sentence on what is assumed of them."""

    def predict(*arguments):
        known = ["--set", "model=net", "--classes", ",".join(NAMES), "--device", "cpu"]
        result = cli.run("predict", weights, *known, *arguments)
        return replace(result, stderr=result.stderr.replace(assumed(weights), ""))

    return predict


def list_on_stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_predictions_are_those_in_the_report_of_the_run(cli, image_folder, tmp_path):
    settings = ["--set", "log_every=9", "--set", "tta=mirror", "--preset", "quick"]
    short = ["--data", image_folder, "--epochs", "1", "--batch-size", "4", "--name", "first"]
    assert cli.train(*short, *settings).returncode == 0
    (run,) = (tmp_path / "checkpoints").iterdir()
    report = json.loads((run / "report.json").read_text())
    result = cli.run("predict", "first", image_folder / "test", "--json", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["run"], told["name"], told["class_names"]) == (run.name, "first", list(NAMES))
    assert (told["model"], told["skipped"]) == ("airbench-tiny", [])
    # test images take turns by class; a folder's are in the order of their names
    order = [3 * number + target for target in range(3) for number in range(4)]
    assert [p["path"] for p in told["predictions"]] == [
        str(image_folder / "test" / name / f"{number:02d}.png") for name in NAMES for number in range(4)
    ]
    for prediction, place in zip(told["predictions"], order, strict=True):
        assert prediction["class"] == NAMES[report["predicted"][place]]
        assert prediction["confidence"] == pytest.approx(report["confidences"][place], abs=1e-4)
        assert prediction["top"][0] == {key: prediction[key] for key in ("class", "confidence")}
        assert sum(entry["confidence"] for entry in prediction["top"]) == pytest.approx(1, abs=1e-5)
        assert [entry["confidence"] for entry in prediction["top"]] == sorted(
            (entry["confidence"] for entry in prediction["top"]), reverse=True
        )
    without = cli.run("predict", "first", image_folder / "test", "--json", "--set", "tta=none")
    others = json.loads(without.stdout)["predictions"]
    assert others != told["predictions"], "the run's tta was used"


def test_a_pipe_gets_a_line_for_each_picture_with_its_path_at_the_end(predict, image_folder):
    result = predict(image_folder / "test" / "red", "--top", "2")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines):
        assert line.endswith(f" %  {image_folder}/test/red/{number:02d}.png")
        first, share, percent, second, *_ = line.split()
        assert {first, second} < set(NAMES)
        assert 33 < float(share) < 100
        assert percent == "%"
    assert len({line.index(str(image_folder)) for line in lines}) == 1


def test_what_was_done_to_the_pictures_is_said_with_its_count(predict, tmp_path):
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    result = predict(tmp_path / "a.png")
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "cifar-tui: resized 64×48 → 32×32 (the centre square of all)",
        "cifar-tui: converted to RGB: 1 grey",
    ]


@pytest.mark.parametrize("separator", ["\n", "\0"])
def test_a_dash_reads_paths_from_stdin(predict, image_folder, monkeypatch, separator):
    folder = image_folder / "test" / "red"
    if separator == "\0":
        (folder / "01.png").rename(folder / "0\n1.png")
    paths = sorted(folder.iterdir())
    list_on_stdin(monkeypatch, separator.join(map(str, paths)).encode() + separator.encode())
    result = predict("-", image_folder / "test" / "blue", "--json")
    assert result.returncode == 0, result.stderr
    told = [prediction["path"] for prediction in json.loads(result.stdout)["predictions"]]
    assert told[:4] == list(map(str, paths))
    assert len(told) == 8


def test_an_image_on_stdin_is_no_list(predict, image_folder, monkeypatch):
    list_on_stdin(monkeypatch, (image_folder / "test" / "red" / "00.png").read_bytes())
    assert_one_sentence(predict("-"), 2, "stdin has an image instead of paths of images: save it")


def test_files_that_cannot_be_read_are_named_and_the_others_classified(predict, image_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    good = image_folder / "test" / "red" / "00.png"
    result = predict(tmp_path / "none.png", good, tmp_path / "notes.txt", "--json")
    assert result.returncode == 3
    assert result.stderr.splitlines() == [
        f"cifar-tui: skipped '{tmp_path}/none.png': No such file or directory",
        f"cifar-tui: skipped '{tmp_path}/notes.txt': not an image",
        "cifar-tui: 1 classified, 2 files skipped",
    ]
    told = json.loads(result.stdout)
    assert [prediction["path"] for prediction in told["predictions"]] == [str(good)]
    assert told["skipped"] == [
        {"path": f"{tmp_path}/none.png", "reason": "No such file or directory"},
        {"path": f"{tmp_path}/notes.txt", "reason": "not an image"},
    ]


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_no_picture_at_all_is_no_result(predict, tmp_path, json_option):
    (tmp_path / "notes.txt").write_text("no image")
    result = predict(tmp_path / "notes.txt", *json_option)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.splitlines() == [
        f"cifar-tui: skipped '{tmp_path}/notes.txt': not an image",
        "cifar-tui: cannot read the file as an image: name image files, or folders with some",
    ]
    (tmp_path / "empty").mkdir()
    assert_one_sentence(predict(tmp_path / "empty", *json_option), 3, "the folders and lists have no files")


def test_names_of_the_classes_can_be_given_or_taken_from_a_dataset(cli, weights, image_folder):
    picture = image_folder / "test" / "red" / "00.png"

    def told(*options):
        result = cli.run("predict", weights.name, picture, "--json", *options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout), "names no classes" in result.stderr

    numbered, said = told()
    assert (numbered["class_names"], said) == (["0", "1", "2"], True)
    assert (numbered["run"], numbered["model"], numbered["weights"]) == (None, "net", "w.pth")
    assert told("--classes", "cat, dog,ape")[0]["class_names"] == ["cat", "dog", "ape"]
    named, said = told("--classes", image_folder)
    assert (named["class_names"], said) == (list(NAMES), False)
    index = int(numbered["predictions"][0]["class"])
    assert named["predictions"][0]["class"] == NAMES[index]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["--set", "epochs=3"],
            2,
            "does not depend on 'epochs'; --set takes model, image_size, normalization, precision, tta",
        ),
        (["--set", "tta=all"], 2, "'all'"),
        (["--classes", "a,a,b"], 2, "--classes 'a,a,b' must be different names, separated by commas"),
        (["--classes", "a,b"], 2, "expects 3 classes, 2 are given (a, b)"),
        (["--set", "model=resnet18"], 2, "does not match the model resnet18"),
        (["--top", "0"], 2, "--top must be a whole number, at least 1"),
        (["--device", "cuda:99"], 2, "device 'cuda:99' is not available"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(predict, image_folder, arguments, code, says):
    assert_one_sentence(predict(image_folder / "test" / "red", *arguments), code, says)


def test_a_run_that_is_not_there_is_named(cli, image_folder):
    result = cli.run("predict", "none", image_folder / "test")
    assert_one_sentence(result, 2, "no runs in 'checkpoints'")


def test_a_run_needs_pictures(cli):
    result = cli.run("predict", "latest")
    assert_one_sentence(result, 2, "the following arguments are required: IMAGE")


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Lets the command print as on a terminal of a size and with colours."""

    def on_a_terminal(columns, *, rows=40, encoding="utf-8", **environment):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(type(sys.stdout), "encoding", property(lambda _: encoding), raising=False)
        size = {"COLUMNS": str(columns), "LINES": str(rows), "TERM": "xterm-256color"}
        for name, value in (size | {"COLORTERM": "truecolor"} | environment).items():
            monkeypatch.setenv(name, value)

    return on_a_terminal


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_a_terminal_gets_the_path_the_picture_and_the_classes_as_bars(
    predict, image_folder, on_a_terminal, columns
):
    on_a_terminal(columns)
    result = predict(image_folder / "test" / "red")
    lines = Text.from_ansi(result.stdout).plain.split("\n")
    path = str(image_folder / "test" / "red" / "00.png")
    start = lines.index(path)
    assert lines[start + 1].startswith("▀" * 32 + "  ")
    assert "█" in lines[start + 1]
    assert lines[start + 1].endswith(" %")
    assert lines[start + 3][34:].split()[0] in NAMES
    assert {len(line) for line in lines[start + 4 : start + 17]} == {34}
    assert lines[start + 17 : start + 19] == ["", path.replace("00", "01")]
    assert max(map(len, (line for line in lines if "/" not in line))) <= columns
    assert "\x1b[38;2;" in result.stdout


def test_one_picture_alone_is_enlarged_where_it_fits(predict, image_folder, on_a_terminal):
    def width(columns, rows):
        on_a_terminal(columns, rows=rows)
        return (
            Text.from_ansi(predict(image_folder / "test" / "red" / "00.png").stdout).plain.count("▀") ** 0.5
        )

    assert width(120, 40) == pytest.approx((64 * 32) ** 0.5)
    assert width(120, 30) == width(80, 40) == pytest.approx((32 * 16) ** 0.5)
    assert width(54, 40) == pytest.approx((24 * 12) ** 0.5)
    assert width(30, 40) == 0, "the bars come first"


def test_without_colours_a_picture_is_in_shades_of_one(predict, image_folder, on_a_terminal):
    picture = Image.new("RGB", (32, 32))
    picture.paste((255, 255, 255), (16, 0, 32, 32))
    picture.save(image_folder / "half.png")
    on_a_terminal(80, NO_COLOR="1")
    result = predict(image_folder / "half.png")
    lines = Text.from_ansi(result.stdout).plain.split("\n")
    for line in lines[1:15]:
        assert line.startswith(" " * 14)
        assert line[17:31] == "█" * 14
    assert "\x1b[38" not in result.stdout


def test_pictures_can_be_left_out(predict, image_folder, on_a_terminal):
    on_a_terminal(80)
    result = predict(image_folder / "test" / "red" / "00.png", "--no-pictures", "--top", "9")
    path, *bars = Text.from_ansi(result.stdout).plain.rstrip().split("\n")
    assert path.endswith("red/00.png")
    assert len(bars) == 3
    assert sum(float(line.split()[-2]) for line in bars) == pytest.approx(100, abs=0.2)
    lengths = [line.count("█") for line in bars]
    assert lengths == sorted(lengths, reverse=True)


def test_a_locale_without_blocks_gets_none(predict, image_folder, on_a_terminal):
    on_a_terminal(80, encoding="ascii")
    result = predict(image_folder / "test" / "red" / "00.png")
    assert Text.from_ansi(result.stdout).plain.isascii()
    assert "#" in result.stdout


def test_names_of_files_are_printed_harmlessly(predict, image_folder, on_a_terminal):
    name = os.fsdecode(b"a\x1b]0;PWNED\x07\xff.png")
    shutil.copy(image_folder / "test" / "red" / "00.png", image_folder / name)
    shown = r"a\x1b]0;PWNED\x07\udcff.png"
    piped = predict(image_folder / name, image_folder / "x\x1b[2J.png")
    assert shown in piped.stdout
    assert r"x\x1b[2J.png" in piped.stderr
    on_a_terminal(200)
    assert shown in Text.from_ansi(predict(image_folder / name).stdout).plain
    told = json.loads(predict(image_folder / name, "--json").stdout)
    assert told["predictions"][0]["path"].endswith("a\x1b]0;PWNED\x07\ufffd.png")


def test_running_out_of_memory_is_one_sentence(predict, image_folder, monkeypatch):
    def exhaust(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr("cifar_tui.engine.evaluation.predict.find_weights", exhaust)
    assert_one_sentence(predict(image_folder), 4, "out of memory", "end other programs that use it")


def test_results_that_cannot_be_written_are_an_error(weights, image_folder, tmp_path):
    command = f"predict {weights} --set model=net --classes a,b,c {image_folder / 'test'}"
    full, left = shell(command, ">/dev/full", tmp_path), shell(command, "| head -n 1", tmp_path)
    assert (full.returncode, full.stderr) == (4, assumed(weights) + LOST.format("No space left on device"))
    assert (left.returncode, left.stderr) == (0, assumed(weights))
    assert len(left.stdout.splitlines()) == 1
