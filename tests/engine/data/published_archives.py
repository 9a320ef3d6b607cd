"""Small files in the original formats of the datasets that torchvision knows, made here."""

import gzip
import io
import pickle
import struct
from dataclasses import dataclass, field

import numpy as np
import scipy.io
from PIL import Image
from torchvision import datasets

from tests.engine.data.loopback import make_archive

FLOWER_CLASSES = 102


@dataclass(kw_only=True)
class MadeFiles:
    """Files by name, and the attributes with which torchvision's class takes them for the official ones.

    `attributes` are made from the MD5 of any bytes and the URL of the server; `unpacked` are in an archive.
    """

    files: dict[str, bytes]
    attributes: object
    unpacked: dict[str, bytes] = field(default_factory=dict)


def _random(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def cifar100():
    names = [f"class {number}" for number in range(100)]
    batches = {
        name: {
            "data": _random((count, 3072), count),
            "fine_labels": [number * 7 % 100 for number in range(count)],
            "coarse_labels": [0] * count,
            "filenames": [f"{number}.png" for number in range(count)],
        }
        for name, count in (("train", 40), ("test", 20))
    }
    contents = {**batches, "meta": {"fine_label_names": names, "coarse_label_names": ["all"]}}
    inner = {name: pickle.dumps(content, protocol=2) for name, content in contents.items()}
    archive = make_archive({f"cifar-100-python/{name}": data for name, data in inner.items()})
    return MadeFiles(
        files={"cifar-100-python.tar.gz": archive},
        unpacked={f"cifar-100-python/{name}": data for name, data in inner.items()},
        attributes=lambda md5, url: {
            "url": f"{url}cifar-100-python.tar.gz",
            "tgz_md5": md5(archive),
            "train_list": [["train", md5(inner["train"])]],
            "test_list": [["test", md5(inner["test"])]],
            "meta": {**datasets.CIFAR100.meta, "md5": md5(inner["meta"])},
        },
    )


def _idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(header + array.tobytes())


def mnist():
    files = {}
    for prefix, count in (("train", 24), ("t10k", 12)):
        files[f"{prefix}-images-idx3-ubyte.gz"] = _idx(_random((count, 28, 28), count))
        files[f"{prefix}-labels-idx1-ubyte.gz"] = _idx(np.arange(count, dtype=np.uint8) % 10)
    return MadeFiles(
        files=files,
        attributes=lambda md5, url: {
            "mirrors": [url],
            "resources": [(name, md5(content)) for name, content in files.items()],
        },
    )


def _mat(**variables):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def svhn():
    files = {
        f"{split}_32x32.mat": _mat(
            X=_random((32, 32, 3, count), count), y=(np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        )
        for split, count in (("train", 24), ("test", 12))
    }
    return MadeFiles(
        files=files,
        attributes=lambda md5, url: {
            "split_list": {
                **datasets.SVHN.split_list,
                **{
                    name.split("_")[0]: [f"{url}{name}", name, md5(content)]
                    for name, content in files.items()
                },
            }
        },
    )


def stl10():
    inner = {"unlabeled_X.bin": _random((2, 3, 96, 96), 9).tobytes()}
    for split, count in (("train", 20), ("test", 10)):
        inner[f"{split}_X.bin"] = _random((count, 3, 96, 96), count).tobytes()
        inner[f"{split}_y.bin"] = (np.arange(count, dtype=np.uint8) % 10 + 1).tobytes()
    names = b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n"
    others = {"class_names.txt": names, "fold_indices.txt": b"0 1\n"}
    archive = make_archive({f"stl10_binary/{name}": data for name, data in {**inner, **others}.items()})
    return MadeFiles(
        files={"stl10_binary.tar.gz": archive},
        unpacked={f"stl10_binary/{name}": data for name, data in {**inner, **others}.items()},
        attributes=lambda md5, url: {
            "url": f"{url}stl10_binary.tar.gz",
            "tgz_md5": md5(archive),
            "train_list": [
                [name, md5(inner[name])] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")
            ],
            "test_list": [[name, md5(inner[name])] for name in ("test_X.bin", "test_y.bin")],
        },
    )


def flowers102():
    labels = [*range(1, FLOWER_CLASSES + 1), 5, 6, 7, 8, 9]
    photos = {}
    for number in range(1, len(labels) + 1):
        stream = io.BytesIO()
        Image.fromarray(_random((40 + number % 3, 50, 3), number)).save(stream, "JPEG")
        photos[f"jpg/image_{number:05d}.jpg"] = stream.getvalue()
    ids = np.arange(len(labels), 0, -1)  # in another order than the files
    files = {
        "102flowers.tgz": make_archive(photos),
        "imagelabels.mat": _mat(labels=np.array(labels, np.uint8)[None]),
        "setid.mat": _mat(trnid=ids[None, 5:], valid=ids[None, :2], tstid=ids[None, 2:5]),
    }
    return MadeFiles(
        files=files,
        attributes=lambda md5, url: {
            "_download_url_prefix": url,
            "_file_dict": {
                key: (name, md5(files[name])) for key, (name, _) in datasets.Flowers102._file_dict.items()
            },
        },
    )


MADE = {
    "CIFAR100": cifar100,
    "MNIST": mnist,
    "FashionMNIST": mnist,
    "KMNIST": mnist,
    "SVHN": svhn,
    "STL10": stl10,
    "Flowers102": flowers102,
}
