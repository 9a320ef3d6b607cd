"""The datasets that torchvision knows, from a loopback server, beside torchvision's own readers."""

import dataclasses
import gzip
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from cifar_tui.engine.data import download
from cifar_tui.engine.data.convert import fit
from cifar_tui.engine.data.folder import interleave
from cifar_tui.engine.data.registry import DOWNLOADED, SOURCES
from cifar_tui.engine.data.sources import is_downloaded, load_dataset
from cifar_tui.engine.errors import DataUnavailableError
from tests.engine.data.conftest import md5, serving
from tests.engine.data.loopback import Plan, closed_port
from tests.engine.data.published_archives import MADE, MadeFiles

PREFIX = "torchvision:"


@pytest.fixture(params=MADE)
def name(request):
    return request.param


@dataclasses.dataclass(kw_only=True)
class Served:
    """The files of a dataset on a server; torchvision's class takes them for the official ones."""

    name: str
    made: MadeFiles
    server: object
    root: Path
    patch: pytest.MonkeyPatch

    @property
    def known(self):
        return getattr(datasets, self.name)

    def expect(self, of=md5, url=None):
        """Give torchvision's class the MD5s that `of` computes."""
        base = self.server.url.rpartition("/")[0] + "/" if url is None else url
        for attribute, value in self.made.attributes(of, base).items():
            self.patch.setattr(self.known, attribute, value)

    def load(self, image_size=32):
        reports = []
        dataset = load_dataset(
            f"{PREFIX}{self.name}",
            data_dir=self.root,
            seed=0,
            report=reports.append,
            cancelled=lambda: False,
            image_size=image_size,
        )
        self.stages = list(dict.fromkeys(report.stage for report in reports))
        return dataset

    def refusal(self):
        with pytest.raises(DataUnavailableError) as refused:
            self.load()
        sentence = str(refused.value)
        assert "\n" not in sentence
        return sentence

    def final_files(self):
        """What has a final name in the data folder."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {path.name for path in files if not path.name.startswith(".") and path.suffix != ".part"}


def served_of(name, tmp_path, monkeypatch, server):
    made = MADE[name]()
    server.payloads = {f"/{file}": content for file, content in made.files.items()}
    served = Served(name=name, made=made, server=server, root=tmp_path / "data", patch=monkeypatch)
    served.expect()
    return served


@pytest.fixture
def loopback(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving(b"") as state:
        yield state


@pytest.fixture
def served(name, tmp_path, monkeypatch, loopback):
    return served_of(name, tmp_path, monkeypatch, loopback)


def with_torchvision(served):
    """Pictures and labels of train, test and val, if there is one, as torchvision reads the same files."""
    root, name = served.root, served.name
    if name.endswith("MNIST"):
        for path in (root / name / "raw").glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    if name == "STL10":  # which it wants to be complete
        (root / "stl10_binary/unlabeled_X.bin").write_bytes(
            served.made.unpacked["stl10_binary/unlabeled_X.bin"]
        )
    if name.startswith("CIFAR") or name.endswith("MNIST"):
        parts = [served.known(root, train=train) for train in (True, False)]
    else:
        splits = ("train", "test", "val") if name == "Flowers102" else ("train", "test")
        parts = [served.known(root, split=split) for split in splits]
    return [[part[index] for index in range(len(part))] for part in parts]


def expected_pixels(pictures, size):
    """The pictures, (N, 3, S, S), in RGB and resized as those of a folder are."""
    images = [np.asarray(fit(picture, size).convert("RGB")) for picture, _ in pictures]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


RESIZED = {
    "MNIST": ("resized 28×28 → 32×32", "converted to RGB: 36 grey"),
    "STL10": ("resized 96×96 → 32×32",),
    "Flowers102": (
        (
            "train 102 images of 102 classes, val 2 (for validation), test 3, resized 50×40 to 50×42 → 32×32 "
            "(the centre square of all)"
        ),
    ),
}


@pytest.mark.parametrize("size", [32, 48])
def test_the_images_are_those_that_torchvision_reads_from_the_same_files(served, size):
    dataset = served.load(image_size=size)
    parts = with_torchvision(served)
    ours = [split for split in (dataset.train, dataset.test, dataset.validation) if split is not None]
    assert len(ours) == len(parts)
    for split, pictures in zip(ours, parts, strict=True):
        images, targets = expected_pixels(pictures, size), torch.tensor([label for _, label in pictures])
        if served.name == "Flowers102" and split is dataset.test:
            turns = interleave(targets, torch.arange(len(targets)))  # by class, as in a folder
            images, targets = images[turns], targets[turns]
        assert torch.equal(split.take(slice(None)), images)
        assert torch.equal(split.targets, targets)
    assert dataset.title == served.name
    unresized = () if size == 32 else ("resized 32×32 → 32×32",)
    notes = RESIZED.get("MNIST" if served.name.endswith("MNIST") else served.name, unresized)
    assert dataset.notes == tuple(note.replace("→ 32×32", f"→ {size}×{size}") for note in notes)


def test_class_names_are_torchvisions(served):
    dataset = served.load()
    with_torchvision(served)
    known = {
        "CIFAR100": lambda: datasets.CIFAR100(served.root).classes,
        "SVHN": lambda: [str(digit) for digit in range(10)],
        "STL10": lambda: datasets.STL10(served.root).classes,
    }
    assert list(dataset.class_names) == list(known.get(served.name, lambda: served.known.classes)())


def test_it_is_downloaded_once_and_with_progress(served):
    source = f"{PREFIX}{served.name}"
    assert not is_downloaded(source, served.root)
    first = served.load()
    assert sorted(served.server.paths) == sorted(served.server.payloads)
    assert {f"downloading {file}" for file in served.made.files} <= set(served.stages)
    assert is_downloaded(source, served.root)
    again = served.load()
    assert len(served.server.paths) == len(served.server.payloads), "nothing is asked for again"
    assert torch.equal(again.train.images, first.train.images)
    assert not [stage for stage in served.stages if stage.startswith("downloading")]


def test_a_connection_that_is_cut_is_resumed(served, monkeypatch):
    monkeypatch.setattr(download, "_pause", lambda seconds, progress: None)
    served.server.plans = [Plan(cut_after=100), Plan(cut_after=50)]
    dataset = served.load()
    assert served.server.ranges[:3] == [None, "bytes=100-", "bytes=150-"]
    assert len(dataset.train) >= 20


def test_without_a_network_it_is_one_sentence_and_leaves_nothing(served):
    served.expect(url=f"http://127.0.0.1:{closed_port()}/")
    first = next(iter(served.made.files))
    sentence = served.refusal()
    assert sentence.startswith(f"cannot download {first} to '")
    assert sentence.endswith("; try again, or set data to a folder of images, or synthetic")
    assert served.final_files() == set()


def test_a_file_with_another_md5_is_refused_and_not_kept(served):
    served.expect(of=lambda content: md5(content + b"other"))
    sentence = served.refusal()
    first = next(iter(served.made.files))
    assert f"/{first} did not deliver the official archive (MD5 {md5(served.made.files[first])}" in sentence
    assert served.final_files() == set()


def test_a_data_folder_that_cannot_be_made_is_one_sentence(served):
    served.root = served.root / ("long" * 100)
    sentence = served.refusal()
    assert sentence.startswith("cannot write to '")
    assert sentence.endswith(
        "(File name too long): choose another data_dir, or set data to a folder of images, or synthetic"
    )
    assert not is_downloaded(f"{PREFIX}{served.name}", served.root)


CHANGED = {
    "CIFAR100": "cifar-100-python/train",
    "MNIST": "MNIST/raw/t10k-labels-idx1-ubyte.gz",
    "FashionMNIST": "FashionMNIST/raw/train-images-idx3-ubyte.gz",
    "KMNIST": "KMNIST/raw/train-labels-idx1-ubyte.gz",
    "SVHN": "test_32x32.mat",
    "STL10": "stl10_binary/train_y.bin",
    "Flowers102": "flowers-102/setid.mat",
}


def test_a_file_that_was_changed_on_the_disk_is_refused_and_not_unpickled(served):
    served.load()

    class Mark:
        def __reduce__(self):
            return Path.touch, (served.root / "unpickled",)

    path = served.root / CHANGED[served.name]
    path.write_bytes(pickle.dumps(Mark()))
    sentence = served.refusal()
    assert f"'{path}' is not the official file (MD5 " in sentence
    assert "remove " in sentence
    assert not (served.root / "unpickled").exists()
    path.unlink()
    if "/" in CHANGED[served.name] and served.name in {"CIFAR100", "STL10"}:
        assert f"cannot read '{path}' (No such file or directory): remove '{path.parent}'" in served.refusal()
    else:
        served.load()  # downloads it again
        assert md5(path.read_bytes()) == md5(served.made.files[path.name])


@pytest.mark.parametrize("missing", ["scipy", "scipy.io"], ids=["missing", "broken"])
@pytest.mark.parametrize("name", ["SVHN", "Flowers102"], indirect=True)
def test_without_scipy_the_sentence_says_what_to_install_before_anything_is_downloaded(
    served, monkeypatch, missing
):
    monkeypatch.delitem(sys.modules, "scipy.io", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    assert served.refusal() == f"{served.name} needs scipy to be read: pip install 'cifar-tui[mat]'"
    assert served.server.paths == []


@pytest.mark.parametrize("name", ["STL10"], indirect=True)
def test_pictures_without_labels_stay_in_the_archive(served):
    served.load()
    assert {path.name for path in (served.root / "stl10_binary").iterdir()} == {
        "train_X.bin",
        "train_y.bin",
        "test_X.bin",
        "test_y.bin",
        "class_names.txt",
    }


@pytest.mark.parametrize("name", ["STL10"], indirect=True)
@pytest.mark.parametrize("content", [b"", b"cat dog", b"cat " * 10, b"\xff"])
def test_class_names_that_are_not_the_ten_of_the_archive_are_refused(served, content):
    served.load()
    path = served.root / "stl10_binary" / "class_names.txt"
    path.write_bytes(content)
    assert f"cannot read the 10 class names in '{path}': remove '{path.parent}'" in served.refusal()


@pytest.mark.parametrize("name", ["Flowers102"], indirect=True)
def test_photos_are_decoded_only_once(served, monkeypatch):
    dataset = served.load()
    monkeypatch.delattr("cifar_tui.engine.data.folder.decode_files")
    assert torch.equal(served.load().train.images, dataset.train.images)


@pytest.mark.parametrize("name", ["MNIST"], indirect=True)
def test_a_torchvision_that_cannot_be_imported_is_one_sentence(served, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    assert served.refusal().startswith("torchvision's MNIST is not available (")


def test_a_name_that_is_nearly_right_is_suggested(tmp_path):
    with pytest.raises(DataUnavailableError) as refused:
        load_dataset(
            "torchvision:cifar100", data_dir=tmp_path, seed=0, report=lambda _: None, cancelled=lambda: False
        )
    assert "did you mean 'torchvision:CIFAR100'?; there are torchvision:CIFAR100, torchvision:MNIST" in str(
        refused.value
    )


def test_each_is_registered_and_has_a_test_here():
    registered = {name.removeprefix(PREFIX) for name in SOURCES if name.startswith(PREFIX)}
    assert registered == MADE.keys()
    assert {name for name in SOURCES if name not in DOWNLOADED} == {"synthetic"}
