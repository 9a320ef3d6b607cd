"""A whole run of a net from a user's file: its bits, its source, its failures."""

import random
import re
import zipfile

import numpy as np
import pytest
import torch

from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.events import Alert, LossPoint, Message
from tests.engine.made_session import Run
from tests.engine.models.own.nets import FUNCTION, RANDOM, TUTORIAL, VIT, write_net

RECIPE = {"batch_size": 8, "learning_rate": 0.01, "epochs": 3, "backend": "eager", "chart_every": 1}
AFTER = 5


@pytest.fixture
def start(tmp_path, image_folder):
    """Starts runs, each in a folder of its own."""

    def start(name, model, *, on_event=None, folder=None, **settings):
        run = Run(tmp_path / name, data=image_folder, model=model, on_event=on_event, **RECIPE | settings)
        if folder is not None:
            run.folder = folder
        return run

    return start


def stop_after(step):
    def on_event(run, event):
        if isinstance(event, LossPoint) and event.step == step:
            run.control.request("stop")

    return on_event


def saved(run, name="cifar_net.pth"):
    return torch.load(run.folder / name, weights_only=True)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def changes(run):
    return [event.text for event in run.of(Alert) if "has changed" in event.text]


def losses(*runs):
    return [event.loss for run in runs for event in run.of(LossPoint)]


def test_the_tutorials_net_in_a_file_trains_to_the_bits_of_the_built_in_one_also_after_a_resume(
    tmp_path, start
):
    model = f"{write_net(tmp_path, TUTORIAL)}:Net"
    built_in, own = start("a", "net"), start("b", model)
    built_in.train()
    own.train()
    assert losses(own) == losses(built_in)
    assert_same_bits(saved(own), saved(built_in))
    stopped = start("c", model, on_event=stop_after(AFTER))
    assert not stopped.train().completed
    resumed = start("c", model, folder=stopped.folder)
    assert resumed.train(resume_from=saved(stopped, "last.pt")).completed
    assert losses(stopped, resumed) == losses(built_in)
    assert_same_bits(saved(resumed), saved(built_in))
    assert resumed.of(Alert) == []


def test_a_net_that_draws_random_numbers_everywhere_resumes_to_the_bit(tmp_path, start):
    model = f"{write_net(tmp_path, RANDOM)}:Net"
    whole = start("a", model, seed=2**62)
    whole.train()
    stopped = start("b", model, seed=2**62, on_event=stop_after(AFTER))
    stopped.train()
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the generator that the net draws from
    torch.manual_seed(5)
    resumed = start("b", model, seed=2**62, folder=stopped.folder)
    resumed.train(resume_from=saved(stopped, "last.pt"))
    assert losses(stopped, resumed) == losses(whole)
    assert_same_bits(saved(resumed), saved(whole))
    assert resumed.session.report.to_dict() == whole.session.report.to_dict()
    assert torch.equal(resumed.session.report.losses, whole.session.report.losses)


def test_an_evaluation_in_between_changes_nothing(tmp_path, start):
    model = f"{write_net(tmp_path, RANDOM)}:Net"

    def evaluate(run, event):
        if isinstance(event, LossPoint) and event.step == AFTER:
            run.control.request("evaluate")

    plain, evaluated = start("a", model, eval_every=0), start("b", model, on_event=evaluate, eval_every=0)
    plain.train()
    evaluated.train()
    assert losses(evaluated) == losses(plain)


@pytest.mark.parametrize(
    ("source", "name", "settings"),
    [
        (VIT, "ViT", {"optimizer": "adamw", "lr_schedule": "cosine", "warmup_fraction": 0.2, "bias_lr": 0.1}),
        (RANDOM, "Net", {"optimizer": "muon", "weight_averaging": "ema", "flip": "random", "translate": 2}),
        (FUNCTION, "make_net", {"low_res_fraction": 0.5, "channels_last": True, "tta": "mirror+translate"}),
        (RANDOM, "Net", {"weight_averaging": "lookahead", "precision": "bf16", "cutout": 4, "val_size": 4}),
        (VIT, "ViT", {"compile": "yes"}),
    ],
    ids=["vit", "muon", "function", "bf16", "compiled"],
)  # fmt: skip
def test_every_kind_of_net_trains_with_every_kind_of_setting(tmp_path, start, source, name, settings):
    run = start("a", f"{write_net(tmp_path, source)}:{name}", **settings)
    assert run.train().completed
    assert run.of(Alert) == []
    again = start("b", run.session.config.model, **settings)
    report = again.session.evaluate_file(run.folder / "cifar_net.pth")
    assert torch.equal(report.losses, run.session.report.losses)


def test_the_source_is_kept_and_taken_again_unless_the_file_is_asked_for(tmp_path, start):
    source = TUTORIAL.replace("import torch\n", "import torch\n    from helpers.sizes import WIDTH\n", 1)
    path = write_net(tmp_path / "mine", source.replace("84", "WIDTH"))
    write_net(tmp_path / "mine", "", "helpers/__init__.py")
    write_net(tmp_path / "mine", "WIDTH = 84\n", "helpers/sizes.py")
    write_net(tmp_path / "mine", "raise SystemExit\n", "unused.py")
    run = start("a", f"{path}:Net")
    run.train()
    with zipfile.ZipFile(run.folder / "model.zip") as kept:
        assert kept.namelist() == ["SHA256SUMS", "my_net.py", "helpers/__init__.py", "helpers/sizes.py"]
        assert kept.read("my_net.py") == path.read_bytes()
    weights = run.folder / "cifar_net.pth"
    write_net(tmp_path / "mine", "WIDTH = 85\n", "helpers/sizes.py")
    evaluated = start("b", f"{path}:Net")
    evaluated.session.evaluate_file(weights)
    (alert,) = changes(evaluated)
    assert re.search(r"sizes\.py' has changed since the training: using the source kept with the run", alert)
    edited = start("c", f"{path}:Net", edited_model=True)
    with pytest.raises(ConfigError, match=r"does not match the model my_net\.py:Net: fc2\.weight has shape"):
        edited.session.evaluate_file(weights)
    (tmp_path / "mine" / "my_net.py").unlink()
    gone = start("d", f"{path}:Net")
    gone.session.evaluate_file(weights)
    assert changes(gone) == [alert]


def test_a_module_that_only_the_training_imports_is_kept_and_a_resume_needs_it(tmp_path, start):
    body = "x = self.pool(F.relu(self.conv1(x)))"
    lazy = f"if self.training:\n                import only_in_training\n            {body}"
    path = write_net(tmp_path, TUTORIAL.replace(body, lazy))
    helper = write_net(tmp_path, "", "only_in_training.py")
    stopped = start("a", f"{path}:Net", on_event=stop_after(AFTER))
    stopped.train()
    helper.unlink()
    resumed = start("a", f"{path}:Net", folder=stopped.folder)
    assert resumed.train(resume_from=saved(stopped, "last.pt")).completed
    assert resumed.of(Alert) == []


def test_a_resume_with_the_file_as_it_is_now_says_so_and_keeps_that(tmp_path, start):
    path = write_net(tmp_path, TUTORIAL)
    stopped = start("a", f"{path}:Net", on_event=stop_after(AFTER))
    stopped.train()
    state = saved(stopped, "last.pt")
    path.write_text(path.read_text().replace("F.relu(self.fc1(x))", "F.gelu(self.fc1(x))"))
    resumed = start("a", f"{path}:Net", folder=stopped.folder, edited_model=True)
    resumed.train(resume_from=state)
    assert [alert.text for alert in resumed.of(Alert)] == [
        "results may differ from an uninterrupted run: the source of the model differs"
    ]
    with zipfile.ZipFile(stopped.folder / "model.zip") as kept:
        assert b"gelu" in kept.read("my_net.py")


@pytest.mark.parametrize("damage", ["edited", "cut", "no zip", "link"])
def test_a_kept_source_that_is_not_what_was_kept_is_refused(tmp_path, start, damage):
    run = start("a", f"{write_net(tmp_path, TUTORIAL)}:Net", epochs=1)
    run.train()
    kept = run.folder / "model.zip"
    with zipfile.ZipFile(kept) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    if damage == "edited":
        with zipfile.ZipFile(kept, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content + b"\n" if name == "my_net.py" else content)
    elif damage == "link":
        kept.rename(tmp_path / "other.zip")
        kept.symlink_to(tmp_path / "other.zip")
    else:
        kept.write_bytes(kept.read_bytes()[:-99] if damage == "cut" else b"hello")
    with pytest.raises(ConfigError, match=r"source .*model\.zip'"):
        start("b", run.session.config.model).session.evaluate_file(run.folder / "cifar_net.pth")


def test_a_net_that_fails_while_it_trains_is_a_sentence_with_its_line(tmp_path, start):
    source = TUTORIAL.replace(
        "def forward(self, x):\n",
        "def forward(self, x):\n            if self.training and self.fc3.bias.abs().max() > 0.2:\n"
        "                raise SystemExit(1)\n",
    )
    path = write_net(tmp_path, source.replace("return self.fc3(x)", "return self.fc3(x) * 100"))
    run = start("a", f"{path}:Net", learning_rate=0.1)
    with pytest.raises(RunFailedError, match=rf"'{path}', line 19: it ends the program \(sys\.exit\)"):
        run.train()


@pytest.mark.parametrize("when", ["self.training", "not self.training"])
def test_a_net_that_returns_a_tuple_only_later_is_a_sentence_with_its_line(tmp_path, start, when):
    later = f"return (x, x) if {when} and self.fc3.bias.abs().max() > 0.2 else self.fc3(x) * 100"
    path = write_net(tmp_path, TUTORIAL.replace("return self.fc3(x)", later))
    run = start("a", f"{path}:Net", learning_rate=0.1)
    with pytest.raises(
        RunFailedError,
        match=rf"'{path}', line \d+: the net returns a value of type tuple, not logits; correct",
    ):
        run.train()


def test_a_net_that_is_made_in_evaluation_mode_trains_like_any_other(tmp_path, start):
    plain = start("a", f"{write_net(tmp_path, RANDOM)}:Net")
    source = RANDOM.replace("def forward", "    self.eval()\n\n        def forward")
    made_in_it = start("b", f"{write_net(tmp_path, source, 'evaluating.py')}:Net")
    plain.train()
    made_in_it.train()
    assert_same_bits(saved(made_in_it), saved(plain))


def test_settings_that_a_net_changes_while_it_trains_do_not_stay(tmp_path, start):
    source = TUTORIAL.replace(
        "def forward(self, x):\n",
        "def forward(self, x):\n            torch.set_default_dtype(torch.float64)\n",
    )
    start("a", f"{write_net(tmp_path, source)}:Net", epochs=1).train()
    assert torch.get_default_dtype() is torch.float32


def test_a_last_batch_that_batch_normalization_refuses_says_what_to_set(tmp_path, start):
    source = FUNCTION.replace("nn.Flatten(),", "nn.Flatten(), nn.BatchNorm1d(8),")
    run = start("a", f"{write_net(tmp_path, source)}:make_net", batch_size=23)
    with pytest.raises(ConfigError, match=r"more than 1 value .* batch_size 23 leaves of 24: set another"):
        run.train()
    assert not run.folder.exists()
    assert start("b", run.session.config.model, batch_size=22).train().completed


def test_what_a_net_prints_is_in_the_log_up_to_some_lines(tmp_path, start, capsys):
    source = TUTORIAL.replace(
        "def forward(self, x):\n",
        "def forward(self, x):\n            print('in', len(x))\n            print(1, file=sys.stderr)\n",
    )
    source = source.replace(
        "import torch\n", "import sys\n    import torch\n    sys.stdout.write('loading\\n')\n", 1
    )
    run = start("a", f"{write_net(tmp_path, source)}:Net")
    run.train()
    printed = [event.text for event in run.of(Message) if "prints" in event.text]
    assert printed[:3] == [
        "my_net.py:Net prints: loading",
        "my_net.py:Net prints: in 8",
        "my_net.py:Net prints: 1",
    ]
    assert printed[20:] == ["my_net.py:Net prints more than 20 lines: the rest is left out"]
    assert capsys.readouterr() == ("", "")


def test_a_file_without_a_run_is_built_once(tmp_path, start):
    count = tmp_path / "count"
    source = TUTORIAL.replace(
        "super().__init__()", f"super().__init__(); open({str(count)!r}, 'a').write('x')"
    )
    path = write_net(tmp_path, source)
    run = start("a", f"{path}:Net", epochs=1)
    run.train()
    weights = tmp_path / "elsewhere.pth"
    (run.folder / "cifar_net.pth").rename(weights)
    count.unlink()
    start("b", f"{path}:Net").session.evaluate_file(weights)
    assert count.read_text() == "x"


UNCOPIED = """
    import threading
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.conv, self.head, self.features = nn.Conv2d(3, 4, 3), nn.Linear(4, num_classes), {}

        def forward(self, x):
            return self.head(self.conv(x).mean((2, 3)))


    def weight_norm(num_classes):
        net = Net(num_classes)
        nn.utils.weight_norm(net.conv)
        return net


    class Hooked(Net):
        def __init__(self, num_classes):
            super().__init__(num_classes)
            self.conv.register_forward_hook(lambda _, __, out: self.features.update(conv=out))

        def forward(self, x):
            self.conv(x)
            return self.head(self.features["conv"].mean((2, 3)))


    class Locked(Net):
        def __init__(self, num_classes):
            super().__init__(num_classes)
            self.lock = threading.Lock()


    class Scripted(Net):
        def __init__(self, num_classes):
            super().__init__(num_classes)
            self.conv = torch.jit.script(self.conv)
"""


@pytest.mark.parametrize("name", ["weight_norm", "Hooked", "Locked", "Scripted"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.filterwarnings("ignore:`torch:FutureWarning")
def test_a_net_that_cannot_be_copied_trains(tmp_path, start, name, precision):
    run = start("a", f"{write_net(tmp_path, UNCOPIED)}:{name}", precision=precision)
    assert run.train().completed


@pytest.mark.parametrize("name", ["weight_norm", "Hooked", "Locked"])
@pytest.mark.filterwarnings("ignore:`torch:FutureWarning")
def test_weight_averaging_of_a_net_that_cannot_be_copied_is_refused(tmp_path, start, name):
    path = write_net(tmp_path, UNCOPIED)
    run = start("a", f"{path}:{name}", weight_averaging="ema")
    with pytest.raises(ConfigError, match=rf"'{path}', line \d+: .*weight_averaging.*set it to none"):
        run.train()
    assert not run.folder.exists()
