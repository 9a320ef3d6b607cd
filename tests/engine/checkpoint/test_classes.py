"""Whose classes are whose: whatever a folder's classes are called, the right answers are counted, or none."""

import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from cifar_tui.engine.checkpoint.classes import match_resumed
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.cifar10 import CLASS_NAMES
from cifar_tui.engine.data.dataset import normalize
from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.errors import ConfigError, DataUnavailableError
from cifar_tui.engine.events import Alert
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.session import Session
from tests.engine.checkpoint.made_state import sound_state

COLOURS = torch.tensor([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 200, 30], [30, 200, 200]])
NAMES = ("airplane", "automobile", "고양이", "café", "truck")
OTHER_NAMES = {"airplane": "plane", "automobile": "car"}
IMAGES_PER_CLASS = 3


def pictures(colour, count, seed):
    """Noise around a colour, uint8 (count, 3, 32, 32)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 50, (count, 3, 32, 32), generator=generator)
    return (COLOURS[colour].view(3, 1, 1) + noise).to(torch.uint8)


@pytest.fixture(scope="module")
def net():
    """The tutorial's net, whose last layer is fitted to tell five colours apart: class k is colour k."""
    torch.manual_seed(0)
    net = create_model("net", num_classes=5)
    images = normalize(torch.cat([pictures(colour, 8, seed=colour) for colour in range(5)]))
    targets = torch.arange(5).repeat_interleave(8)
    features = []
    with torch.no_grad(), intra_op_threads(1):
        with net.fc3.register_forward_pre_hook(lambda module, inputs: features.extend(inputs)):
            net(images)
        net.fc3.bias.zero_()
        net.fc3.weight.copy_(torch.linalg.lstsq(features[0], functional.one_hot(targets).float()).solution.T)
        assert torch.equal(net(images).argmax(dim=1), targets)
    return net


def in_order(net, order):
    """The `state_dict` of `net` with class `order[k]` as its class k."""
    state_dict = dict(net.state_dict())
    for name in ("fc3.weight", "fc3.bias"):
        state_dict[name] = state_dict[name][list(order)]
    return state_dict


def write_folder(root, classes, colours):
    """Write a class folder for each name: `colours[k][n]` is the colour of test image n of class k."""
    for name, row in zip(classes, colours, strict=True):
        for part, number_of, first_seed in (("train", 1, 100), ("test", len(row), 0)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(number_of):
                pixels = pictures(row[number], 1, seed=first_seed + number)[0].permute(1, 2, 0)
                Image.fromarray(pixels.contiguous().numpy()).save(folder / f"{number}.bmp")


def evaluate(weights, root, **options):
    """The count of right answers, and what was said of the classes."""
    events = []
    config = TrainConfig(data=str(root / "images"), data_dir=str(root / "data"), device="cpu")
    session = Session(config=config, emit=events.append, control=RunControl(), **options)
    report = session.evaluate_file(weights)
    return report, [event.text for event in events if isinstance(event, Alert)]


def benign(name):
    """Other ways to write the same class."""
    return [name, OTHER_NAMES.get(name, name), unicodedata.normalize("NFD", name)]


def foreign(name):
    """Names of another class, or of perhaps another one."""
    return [name.upper(), f"{name} ", f"{name}s", "zebra", "Airplane"]


@st.composite
def renamings(draw):
    """How each class folder is called now; None where it was removed, but for two at least."""
    kept = draw(st.sets(st.sampled_from(NAMES), min_size=2))
    names = [draw(st.sampled_from(benign(n) + benign(n) + foreign(n))) if n in kept else None for n in NAMES]
    present = [name for name in names if name is not None]
    return names if len(set(present)) == len(present) else [n if n in kept else None for n in NAMES]


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.permutations(range(5)),
    renamed=renamings(),
    colours=st.lists(st.integers(0, 4), min_size=15, max_size=15),
)
@example(order=[*range(5)], renamed=["airplane", "Airplane", None, None, None], colours=[0] * 15)
def test_any_order_and_any_renaming_gives_the_same_right_answers_or_a_refusal(net, order, renamed, colours):
    rows = [colours[3 * k : 3 * k + 3] for k in range(5)]
    kept = [k for k in range(5) if renamed[k] is not None]
    right = sum(colour == k for k in kept for colour in rows[k])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        content = {"net": in_order(net, order), "class_names": [NAMES[k] for k in order]}
        torch.save(content, root / "w.pth")
        write_folder(root / "images", [renamed[k] for k in kept], [rows[k] for k in kept])
        try:
            report, _ = evaluate(root / "w.pth", root)
        except (ConfigError, DataUnavailableError):  # the latter where names differ in case only
            assert any(renamed[k] not in benign(NAMES[k]) for k in kept)
        else:
            assert (report.correct, report.total) == (right, IMAGES_PER_CLASS * len(kept))
            for entry in report.per_class:
                k = NAMES.index(entry.name)
                assert (entry.correct, entry.total) == ((rows[k].count(k), 3) if k in kept else (0, 0))


@pytest.fixture
def root(tmp_path):
    """A folder `images` with the five classes: two of three images have the colour of their class."""
    write_folder(tmp_path / "images", NAMES, [(k, k, (k + 1) % 5) for k in range(5)])
    return tmp_path


def make_run(root, net, names, *, report=False):
    """A run whose classes are `names`, whose own order is another than that of the folder."""
    run = root / "run"
    run.mkdir()
    (run / "config.toml").write_text("")
    order = [NAMES.index(name) for name in names]
    torch.save(in_order(net, order), run / "cifar_net.pth")
    if report:
        (run / "report.json").write_text(json.dumps({"class_names": names}))
    else:
        torch.save(sound_state(class_names=names), run / "last.pt")
    return run


@pytest.mark.parametrize("report", [False, True])
@pytest.mark.parametrize("name", ["cifar_net.pth", "copy.pth"])
def test_weights_in_the_folder_of_a_run_have_its_classes(root, net, report, name):
    run = make_run(root, net, list(reversed(NAMES)), report=report)
    if name != "cifar_net.pth":
        shutil.copy(run / "cifar_net.pth", run / name)
    found, alerts = evaluate(run / name, root)
    assert (found.correct, found.class_names, alerts) == (10, tuple(reversed(NAMES)), [])


def test_weights_without_names_get_the_order_of_the_dataset_and_that_is_said_once(root, net):
    torch.save(in_order(net, [0, 1, 3, 4, 2]), root / "w.pth")  # sorted, as ImageFolder has them
    found, alerts = evaluate(root / "w.pth", root)
    assert found.correct == 10
    order, images = alerts
    assert order.startswith(f"'{root / 'w.pth'}' names no classes: assuming the class order of folder ")
    assert order.endswith(" (airplane, automobile, café, … (5))")
    assert images == (
        f"'{root / 'w.pth'}' does not say what it was trained on: assuming images of 32×32 pixels, and "
        "inputs from -1 to 1"
    )


def test_what_is_assumed_of_the_images_of_named_classes_is_said_too(root, net):
    torch.save({"net": in_order(net, range(5)), "classes": list(NAMES)}, root / "w.pth")
    (alert,) = evaluate(root / "w.pth", root)[1]
    assert alert.endswith("assuming images of 32×32 pixels, and inputs from -1 to 1")


def test_an_order_that_is_not_that_of_cifar_10_is_said_too(tmp_path):
    torch.save(create_model("net", num_classes=10).state_dict(), tmp_path / "w.pth")
    for names, differs in ((CLASS_NAMES, True), (("airplane", "automobile", *CLASS_NAMES[2:]), False)):
        root = tmp_path / names[0]
        write_folder(root / "images", names, [(0,)] * 10)
        alert, _ = evaluate(tmp_path / "w.pth", root)[1]
        assert ("not that of CIFAR-10 (plane, car, bird, … (10))" in alert) == differs


def test_damaged_names_of_a_run_are_like_none(root, net):
    run = make_run(root, net, list(NAMES), report=True)
    (run / "report.json").write_text("[" * 100_000)
    assert "names no classes" in evaluate(run / "cifar_net.pth", root)[1][0]


def test_a_run_is_not_resumed_without_one_of_its_classes(noise_dataset):
    state = {"class_names": [*noise_dataset.class_names, "zebra"]}
    with pytest.raises(ConfigError, match="the classes differ: only this run has zebra; use --data"):
        match_resumed(state, 1, noise_dataset, assume_order=False)


def test_a_refusal_can_be_overridden(root, net):
    order = sorted(range(5), key=NAMES.__getitem__)
    names = [f"class {k}" for k in order]
    torch.save({"net": in_order(net, order), "classes": names}, root / "w.pth")
    with pytest.raises(ConfigError, match="same classes, add --assume-class-order to 'cifar-tui eval'"):
        evaluate(root / "w.pth", root)
    found, alerts = evaluate(root / "w.pth", root, assume_class_order=True)
    assert (found.correct, found.class_names) == (10, tuple(names))
    assert alerts[0].startswith(
        "assuming that classes with other names have the same order: airplane is class 0, "
    )


def put_link(path, theirs):
    path.symlink_to(theirs)


def put_fifo(path, _):
    os.mkfifo(path)


def put_huge_file(path, _):
    with path.open("wb") as file:
        file.truncate(1 << 42)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [put_link, put_fifo, put_huge_file])
def test_a_report_that_is_no_file_of_the_run_has_no_names(root, net, put):
    run = make_run(root, net, list(reversed(NAMES)), report=True)
    (run / "report.json").rename(root / "theirs")
    put(run / "report.json", root / "theirs")
    assert "names no classes" in evaluate(run / "cifar_net.pth", root)[1][0]


@pytest.mark.parametrize("where", ["in the file", "in the report of its run"])
def test_names_of_more_or_fewer_classes_than_there_are_logits_are_refused(root, net, where):
    fewer = list(NAMES[:4])
    path = root / "w.pth"
    if where == "in the file":
        torch.save({"net": net.state_dict(), "class_names": fewer}, path)
    else:
        path = make_run(root, net, list(NAMES), report=True) / "cifar_net.pth"
        (path.parent / "report.json").write_text(json.dumps({"class_names": fewer}))
    with pytest.raises(ConfigError) as refused:
        evaluate(path, root)
    assert str(refused.value) == (
        f"'{path}' names 4 classes (airplane, automobile, 고양이, … (4)) for 5 logits; "
        "correct the names, or save the weights without them"
    )
