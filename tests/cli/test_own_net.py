"""A net of the user's own on the command line: trained, evaluated, predicted with, resumed, or refused."""

import textwrap

import pytest

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
    *_, said = lines = result.stderr.splitlines()
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
