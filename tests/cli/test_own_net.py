"""A net of the user's own on the command line: trained, evaluated, predicted with, resumed, or refused."""

import json
import re
import textwrap

import pytest

from tests.cli.command import assert_one_sentence, run_process

HEAD = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, num_classes)

"""
FORWARD = """\
    def forward(self, x):
        return self.fc(x.flatten(1))
"""

NO_PARAMETERS = """\
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))
"""
FROZEN = f"""{HEAD}{FORWARD}

Trained = Net


def Net(num_classes):
    return Trained(num_classes).requires_grad_(False)
"""
BROKEN = {
    "syntax error": (HEAD + "    def forward(self, x:\n        pass\n", 10, "SyntaxError: '(' was never"),
    "wrong width": (
        HEAD.replace("32, num_classes", "32, 7") + FORWARD,
        10,
        "the net returns 7 logits for an image, the dataset has 3 classes; ",
    ),
    "raises in forward": (
        HEAD + "    def forward(self, x):\n        raise ValueError('not today')\n",
        11,
        "ValueError: not today (a training batch of 4 images of 32×32 pixels)",
    ),
    "no parameters": (NO_PARAMETERS, 4, "Net has no parameters to train"),
    "needs an argument": (
        HEAD.replace("num_classes=10", "num_classes, width") + FORWARD,
        5,
        "Net needs the argument 'width'; give it a default",
    ),
    "returns a tuple": (
        HEAD + "    def forward(self, x):\n        return self.fc(x.flatten(1)), x\n",
        10,
        "the net returns a value of type tuple",
    ),
    "wrong dtype": (
        HEAD + "    def forward(self, x):\n        return self.fc(x.flatten(1)).long()\n",
        10,
        "the net returns torch.int64",
    ),
    "parameters of another dtype": (
        HEAD + "        self.double()\n\n" + FORWARD,
        13,
        "RuntimeError: ",
    ),
    "imports what is missing": (
        "from torch import nn\nimport no_such_module\n",
        2,
        "ModuleNotFoundError: No module named 'no_such_module'; install it",
    ),
    "ends the program": (
        HEAD + "    def forward(self, x):\n        import sys\n        sys.exit(0)\n",
        12,
        "it ends the program (sys.exit)",
    ),
    "asks for input": (
        HEAD + "    def forward(self, x):\n        return input('width? ')\n",
        11,
        "EOFError: nobody can answer",
    ),
    "reads stdin": (
        "import sys\nwidth = sys.stdin.readline()\n",
        2,
        "EOFError: a net cannot read stdin",
    ),
    "has another name": (
        HEAD.replace("class Net", "class Nett") + FORWARD,
        None,
        "there is no 'Net' in the file; did you mean 'Nett'?",
    ),
    "makes no net": ("def Net():\n    return [1]\n", 1, "Net makes a value of type list, not an nn.Module"),
    "is a number": ("Net = 5\n", 1, "Net is of type int; name a class"),
    "is a net already": ("from torch import nn\nNet = nn.Linear(1, 1)\n", 2, "Net is a net already"),
    "takes two inputs": (
        HEAD + "    def forward(self, x, mask):\n        return x\n",
        10,
        "missing 1 required positional argument: 'mask'",
    ),
    "frozen": (FROZEN, 17, "all parameters of Net are frozen"),
    "extra state": (
        HEAD + FORWARD + "\n    def get_extra_state(self):\n        return {'a': 1}\n",
        5,
        "_extra_state in the state_dict of Net is no tensor; register it as a buffer",
    ),
    "detached": (
        HEAD + "    def forward(self, x):\n        return self.fc(x.flatten(1)).detach()\n",
        10,
        "its output does not depend on a parameter",
    ),
    "forgets the batch": (
        HEAD + "    def forward(self, x):\n        return self.fc(x.flatten(1)).squeeze()\n",
        10,
        "the net returns shape (3,) for an evaluation batch of 1 image",
    ),
    "not UTF-8": ("x = 'caf\udce9'\n", 1, "SyntaxError: "),
    "lazy": (
        HEAD.replace("nn.Linear(3 * 32 * 32, num_classes)", "nn.LazyConv3d(3, 99)")
        + "    def forward(self, x):\n        return self.fc(x)\n",
        11,
        "RuntimeError: ",
    ),
}


def write(folder, source, name="my_net.py"):
    (folder / name).write_bytes(textwrap.dedent(source).encode(errors="surrogateescape"))


def train(cli, image_folder, *options, epochs=1):
    return cli.train("--data", image_folder, "--set", "model=my_net.py:Net", "--epochs", epochs, *options)


def assert_refused(result, code, *words):
    """The last line on stderr is the only one about the net, with `words` in it."""
    *_, said = lines = [line for line in result.stderr.splitlines() if "loading: " not in line]
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sum("my_net.py" in line for line in lines) == 1, result.stderr
    for word in words:
        assert word in said


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_net_is_one_sentence_with_the_users_line_and_no_run(cli, image_folder, broken):
    source, line, words = BROKEN[broken]
    write(cli.cwd, source)
    result = train(cli, image_folder)
    place = "'my_net.py'" if line is None else f"'my_net.py', line {line}: "
    assert_refused(result, 2, place, words)
    assert list((cli.cwd / "checkpoints").glob("*/config.toml")) == []


def test_a_net_is_trained_resumed_evaluated_and_predicted_with_by_the_source_of_the_run(cli, image_folder):
    write(cli.cwd, HEAD + FORWARD)
    trained = train(cli, image_folder, "--json", epochs=2)
    assert trained.returncode == 0, trained.stderr
    expected = json.loads(trained.stdout)["test"]
    write(cli.cwd, (HEAD + FORWARD).replace("x.flatten(1)", "-x.flatten(1)"))
    for options in ((), ("--set", "model=my_net.py:Net")):
        evaluated = cli.run("eval", "latest", "--json", *options)
        assert evaluated.returncode == 0, evaluated.stderr
        assert (json.loads(evaluated.stdout)["test"] == expected) == (not options)
        changed = "'my_net.py' has changed since the training: using the source kept with the run; to use the"
        assert (changed in evaluated.stderr) == (not options)
    image = image_folder / "test" / "red" / "00.png"
    predicted = cli.run("predict", "latest", image, "--json")
    assert json.loads(predicted.stdout)["model"] == "my_net.py:Net"
    resumed = cli.run("train", "--headless", "--resume", "latest", "--epochs", 3)
    assert resumed.returncode == 0, resumed.stderr
    assert "add --set model=my_net.py:Net" in resumed.stderr
    assert "results may differ" not in resumed.stderr
    edited = ["--set", "model=my_net.py:Net"]
    again = cli.run("train", "--headless", "--resume", "latest", "--epochs", 4, *edited)
    assert again.returncode == 0, again.stderr
    assert "the source of the model differs" in again.stderr
    other = cli.run("train", "--headless", "--resume", "latest", "--epochs", 5, "--set", "model=other.py:Net")
    assert_one_sentence(other, 2, "cannot be resumed with model '", "/other.py:Net': it was trained with '")


def test_weights_from_elsewhere_need_the_name_of_their_file(cli, image_folder):
    write(cli.cwd, HEAD + FORWARD)
    train(cli, image_folder)
    (weights,) = (cli.cwd / "checkpoints").glob("*/cifar_net.pth")
    weights.rename(cli.cwd / "w.pth")
    options = ("--data", image_folder, "--device", "cpu")
    assert_one_sentence(
        cli.run("eval", "w.pth", *options),
        2,
        "add --set model=torchvision:NAME, or model=FILE.py:NAME for a net of your own",
    )
    named = cli.run("eval", "w.pth", *options, "--set", "model=my_net.py:Net", "--json")
    assert json.loads(named.stdout)["test"]["total"] == 12


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("my_net.py", "must end with the name of a class or function, as in my_net.py:Net"),
        ("my_net:Net", "or a net of your own, FILE.py:NAME"),
        ("nett", "did you mean 'net'?"),
        ("my_net.py:5", "must end with the name of a class or function, as in my_net.py:Net"),
        ("gone.py:Net", "cannot read the model's file '"),
    ],
)
def test_a_model_that_is_none_says_what_it_must_be(cli, image_folder, model, words):
    result = cli.train("--data", image_folder, "--set", f"model={model}")
    assert_refused_model(result, words)


def assert_refused_model(result, words):
    assert result.returncode == 2
    assert words in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("options", [("precision=fp16",), ("backend=numba",)])
def test_what_cannot_train_a_users_net_says_so(cli, image_folder, options):
    write(cli.cwd, HEAD + FORWARD)
    for option in options:
        result = train(cli, image_folder, "--set", option)
        assert result.returncode == 2
        assert "only stable with" in result.stderr or "numba does not support model" in result.stderr


def test_two_nets_of_one_file_are_told_apart(cli, image_folder):
    write(cli.cwd, HEAD + FORWARD)
    train(cli, image_folder, "--name", "one")
    write(cli.cwd, (HEAD + FORWARD).replace("x.flatten(1)", "-x.flatten(1)"))
    train(cli, image_folder, "--name", "two")
    compared = cli.run("runs", "one", "two").stdout
    (line,) = (line for line in compared.splitlines() if line.startswith("model source"))
    _, _, one, two = line.split()
    assert one != two
    listed = cli.run("runs", "one").stdout
    assert " my_net.py:Net\n" in re.sub(" +", " ", listed)


def test_standard_output_is_left_to_the_results(tmp_path, image_folder):
    source = HEAD.replace("import torch\n", "import sys, torch\nsys.stdout.write('one\\n')\n")
    source += "        print('two')\n\n    def forward(self, x):\n        sys.stdout.write('three\\n')\n"
    write(tmp_path, source + "        return self.fc(x.flatten(1))\n")
    options = ["--data", image_folder, "--device", "cpu", "--epochs", "1", "--set", "model=my_net.py:Net"]
    result = run_process("train", "--json", *options, cwd=tmp_path)
    assert json.loads(result.stdout)["test"]["total"] == 12
    for word in ("one", "two", "three"):
        assert f"my_net.py:Net prints: {word}" in result.stderr
    image = image_folder / "test" / "red" / "00.png"
    predicted = run_process("predict", "latest", image, "--json", cwd=tmp_path)
    assert len(json.loads(predicted.stdout)["predictions"]) == 1
