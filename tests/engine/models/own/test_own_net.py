"""Loading a user's file: what counts as theirs, and what it leaves behind in the process."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.device.random_state import seed_everything
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.own.own_net import load_own_net
from tests.engine.models.own.nets import TUTORIAL, write_net

NET = """
    from torch import nn

    class Net(nn.Linear):
        def __init__(self, num_classes=10):
            super().__init__(3, num_classes)
"""


def load(path, *, said=None, kept_in=None, seed=0, name="Net"):
    log = [] if said is None else said
    net, _ = load_own_net(f"{path}:{name}", kept_in=kept_in, seed=seed, say=log.append)
    return net


def own_files(net):
    return [file.path for file in net.files]


def beside(tmp_path, imports, **files):
    """A net that has `imports`, beside `files`, in which "__" is a "/"."""
    path = write_net(tmp_path, NET)
    path.write_text(imports + "\n" + path.read_text())
    for name, source in files.items():
        write_net(tmp_path, source, f"{name.replace('__', '/')}.py")
    return load(path)


def test_modules_beside_the_file_are_theirs_packages_with_what_was_imported_of_them(tmp_path):
    net = beside(
        tmp_path,
        "import helper, blocks.conv as conv\nfrom blocks import norm\nassert conv.SIZE == norm.SIZE",
        helper="from blocks.conv import SIZE",
        blocks____init__="",
        blocks__conv="from . import sizes\nfrom .sizes import SIZE",
        blocks__norm="import my_net\nfrom .sizes import SIZE",
        blocks__sizes="SIZE = 3",
        blocks__unused="raise ValueError",
        other="raise ValueError",
    )
    files = [
        "my_net.py",
        "helper.py",
        "blocks/__init__.py",
        *(f"blocks/{name}.py" for name in ("conv", "sizes")),
    ]
    assert own_files(net) == [*files, "blocks/norm.py"]


@pytest.mark.parametrize(
    "environment", [".venv/lib/python3/site-packages", "env/lib/site-packages", "site-packages"]
)
def test_an_environment_beside_the_file_is_not_theirs(tmp_path, environment, monkeypatch):
    folder = tmp_path / environment
    write_net(folder, "import installed_helper\nNAME = __name__", "installed_package/__init__.py")
    write_net(folder, "", "installed_helper.py")
    (folder.parent.parent.parent if "lib" in environment else folder).joinpath("pyvenv.cfg").touch()
    (tmp_path / environment.split("/")[0] / "pyvenv.cfg").touch()
    (tmp_path / "installed_package").symlink_to(folder / "installed_package")
    monkeypatch.syspath_prepend(folder)
    net = beside(tmp_path, "import installed_package\nassert installed_package.NAME == 'installed_package'")
    assert own_files(net) == ["my_net.py"]
    for name in ("installed_package", "installed_helper"):
        del sys.modules[name]


def test_a_file_among_installed_packages_brings_none_of_them(tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(folder)
    net = beside(folder, "import neighbour_of_it", neighbour_of_it="")
    assert own_files(net) == ["my_net.py"]
    del sys.modules["neighbour_of_it"]


def test_modules_of_theirs_hide_none_of_the_program(tmp_path):
    before = {name: sys.modules[name] for name in ("random", "cifar_tui", "torch")}
    net = beside(
        tmp_path,
        "import random, numbers\nfrom cifar_tui.engine.models.classifier import Classifier\nimport utils\n"
        "assert random.random and Classifier and utils.ME",
        random="raise ValueError",
        cifar_tui____init__="raise ValueError",
        utils="ME = True",
    )
    assert own_files(net) == ["my_net.py", "utils.py"]
    assert before == {name: sys.modules[name] for name in before}
    assert "utils" not in sys.modules


def test_two_versions_are_used_at_a_time_each_with_the_modules_it_was_loaded_with(tmp_path):
    source = NET + "            import size\n            self.size = size.SIZE\n"
    nets = []
    for size in (1, 2):
        path = write_net(tmp_path, source)
        write_net(tmp_path, f"SIZE = {size}", "size.py")
        nets.append(load(path))
        nets[-1].build(num_classes=3, image_size=32)
    assert [net.build(num_classes=3, image_size=32).size for net in nets] == [1, 2]
    assert nets[0].hash != nets[1].hash
    assert not (tmp_path / "__pycache__").exists()


def test_the_process_is_as_before_whatever_the_file_does(tmp_path):
    change = (
        "import os, random, sys, numpy, torch\n"
        "sys.path.insert(0, '/nowhere'); sys.stdout = sys.stderr = sys.stdin = open(os.devnull)\n"
        "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)\n"
        "torch.set_default_device('meta'); torch.set_num_threads(3)\n"
        "torch.use_deterministic_algorithms(True); torch.autograd.set_detect_anomaly(True)\n"
        "torch.backends.mkldnn.enabled = False\n"
        "torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = True\n"
        "os.chdir('/'); torch.manual_seed(1); random.seed(1); numpy.random.seed(1)\n"
    )

    def state():
        return (
            list(sys.path),
            sys.stdout,
            sys.stderr,
            sys.stdin,
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_default_device(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_anomaly_enabled(),
            torch.backends.mkldnn.enabled,
            (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
            Path.cwd(),
        )

    seed_everything(7)
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002 - the generator that a net draws from
    seed_everything(7)
    before = state()
    beside(tmp_path, change)
    assert state() == before
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002 - see above
    path = write_net(tmp_path, NET)
    path.write_text(path.read_text().replace("super()", f"exec({change!r})\n        super()"))
    load(path).build(num_classes=3, image_size=32)
    assert state() == before


def test_what_is_drawn_at_import_depends_on_the_seed_only(tmp_path):
    path = write_net(tmp_path, NET + "\n    import torch\n    print(torch.rand(1).item())\n")
    said = []
    for seed in (0, 0, 1):
        torch.rand(5)
        load(path, said=said, seed=seed)
    assert said[0] == said[1] != said[2]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: os.mkfifo(path), "it is not a regular file"),
        (lambda path: path.write_bytes(b"#" * (9 << 20)), "more than 8 MiB"),
    ],
    ids=["missing", "folder", "fifo", "large"],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, write, words):
    path = tmp_path / "my_net.py"
    write(path)
    with pytest.raises(ConfigError, match=rf"cannot read the model's file '{path}': .*{words}"):
        load(path)


def test_an_error_without_a_line_of_theirs_names_the_definition(tmp_path):
    path = write_net(tmp_path, "import torch\n\n\nNet = torch.zeros\n")
    with pytest.raises(ConfigError, match=rf"'{path}', line 4: TypeError: "):
        load(path).build(num_classes=3, image_size=32)


def test_the_net_of_a_link_has_the_modules_beside_the_link(tmp_path):
    target = write_net(
        tmp_path / "elsewhere", TUTORIAL.replace("import torch\n", "import torch\n    import size\n", 1)
    )
    write_net(tmp_path / "here", "", "size.py")
    (tmp_path / "here" / "my_net.py").symlink_to(target)
    assert own_files(load(tmp_path / "here" / "my_net.py")) == ["my_net.py", "size.py"]


@pytest.mark.parametrize("name", ["random.py", "torch.py", "numpy.py", "cifar_tui.py"])
def test_a_file_may_be_called_like_a_module_that_it_imports(tmp_path, name):
    path = write_net(tmp_path, NET, name)
    path.write_text("import random, numpy, torch, cifar_tui\nassert torch.nn\n" + path.read_text())
    net = load(path)
    assert own_files(net) == [name]
    net.keep(tmp_path)
    path.unlink()
    assert own_files(load(path, kept_in=tmp_path)) == [name]


@pytest.mark.parametrize(
    "kind", ["KeyboardInterrupt", "GeneratorExit", "type('Panic', (BaseException,), {})"]
)
def test_an_error_that_is_no_exception_is_a_sentence_where_no_key_can_raise_it(tmp_path, kind):
    path = write_net(tmp_path, NET + f"            raise {kind}('broken')\n")
    net = load(path)
    with ThreadPoolExecutor(1) as thread, pytest.raises(ConfigError, match=rf"'{path}', line 7: .*: broken"):
        thread.submit(net.build, num_classes=3, image_size=32).result()


def test_ctrl_c_in_the_main_thread_stays_what_it_is(tmp_path):
    path = write_net(tmp_path, NET + "            raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(path).build(num_classes=3, image_size=32)


def test_long_lines_that_a_net_prints_are_cut(tmp_path):
    said = []
    printing = "print('x' * 10_000_000)\nfor _ in range(10_000): print('y', end='')\nprint()\n"
    load(write_net(tmp_path, NET + f"\n    exec({printing!r})\n"), said=said)
    assert [text.partition(": ")[2][0] for text in said] == ["x", "y"]
    assert all(len(text) < 500 and text.endswith("…") for text in said)
