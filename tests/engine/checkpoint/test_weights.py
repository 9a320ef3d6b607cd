"""Weights as people save them: the same right answers, whatever was wrapped around them."""

import copy
import json
import struct
import warnings

import pytest
import safetensors.torch
import torch
from torch import nn

from cifar_tui.engine.checkpoint.weights import build_net, load_weights, recognize
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.evaluation.evaluate import evaluate
from cifar_tui.engine.models.registry import MODELS, ModelSpec, create_model
from cifar_tui.engine.models.source import ModelSource
from tests.engine.checkpoint.made_state import sound_state


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return create_model("net", num_classes=10)


@pytest.fixture(scope="module")
def tiny():
    """A net with normalization whose statistics a batch has updated."""
    torch.manual_seed(0)
    net = create_model("airbench-tiny", num_classes=10).train()
    net(torch.randn(8, 3, 32, 32))
    return net.eval()


def load(path, model=None):
    weights = recognize(load_weights(path), None if model is None else ModelSource(model), image_size=32)
    return build_net(weights), weights


def refusal(path, model=None):
    with pytest.raises(ConfigError) as caught:
        load(path, model)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 450
    return sentence


def distributed(net):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        return nn.parallel.DistributedDataParallel(copy.deepcopy(net)).state_dict()
    finally:
        torch.distributed.destroy_process_group()


def averaged(net):
    average = torch.optim.swa_utils.AveragedModel(net)
    average.update_parameters(net)
    return average


def of_lightning(state_dict):
    """What Lightning 2.6 writes for a module that has the net as its `model`."""
    return {
        "epoch": 1,
        "global_step": 4,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {f"model.{name}": tensor for name, tensor in state_dict.items()},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'loss'}": {
                "best_model_score": torch.tensor(2.1),
                "best_k_models": {"a.ckpt": torch.tensor(2.1)},
            }
        },
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1},
    }


WRAPPED = {
    "bare": (lambda net: net.state_dict(), ""),
    "DataParallel": (lambda net: nn.DataParallel(net).state_dict(), "without 'module.'"),
    "DDP": (distributed, "without 'module.'"),
    "compile": (lambda net: torch.compile(net).state_dict(), "without '_orig_mod.'"),
    "compile of DataParallel": (
        lambda net: torch.compile(nn.DataParallel(net)).state_dict(),
        "without 'module.'",
    ),
    "compiled in parts": (
        lambda net: {name.replace("fc1.", "fc1._orig_mod."): t for name, t in net.state_dict().items()},
        "without '_orig_mod.'",
    ),
    "AveragedModel": (lambda net: averaged(net).state_dict(), "averaged weights, without 'n_averaged'"),
    "DataParallel of AveragedModel": (
        lambda net: nn.DataParallel(averaged(net)).state_dict(),
        "without 'module.module.'",
    ),
    "Lightning": (lambda net: of_lightning(net.state_dict()), "without 'model.'"),
    "a chain": (
        lambda net: {f"model.module._orig_mod.backbone.net.{n}": t for n, t in net.state_dict().items()},
        "without 'model.module.backbone.net.'",
    ),
    "net": (lambda net: {"net": net.state_dict(), "acc": 91.2, "epoch": 3}, "the state_dict in 'net'"),
    "model": (lambda net: {"model": net.state_dict(), "step": 3}, "the state_dict in 'model'"),
    "weights": (lambda net: {"weights": net.state_dict()}, "the state_dict in 'weights'"),
    "model_state_dict": (
        lambda net: {"model_state_dict": net.state_dict(), "optimizer_state_dict": {"state": {}}},
        "the state_dict in 'model_state_dict'",
    ),
    "nested": (
        lambda net: {"model": {"state_dict": nn.DataParallel(net).state_dict()}},
        "the state_dict in 'state_dict' in 'model'",
    ),
    "a name before": (
        lambda net: {"model": "net", "state_dict": net.state_dict()},
        "the state_dict in 'state_dict'",
    ),
    "another key": (lambda net: {"ema": net.state_dict(), "step": 1}, "the state_dict in 'ema'"),
    "two of them": (
        lambda net: {"ema": copy.deepcopy(net).state_dict(), "net": net.state_dict()},
        "the state_dict in 'net', not that in 'ema'",
    ),
    "among settings": (
        lambda net: {**net.state_dict(), "epoch": 3, "arch": "net"},
        "without epoch, arch, which are no tensors",
    ),
    "in double precision": (
        lambda net: copy.deepcopy(net).double().state_dict(),
        "converted from float64 to float32",
    ),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_same_right_answers_whatever_is_wrapped_around_the_weights(net, tmp_path, noise_dataset, kind):
    wrap, note = WRAPPED[kind]
    torch.save(wrap(net), tmp_path / "file.pth")
    loaded, weights = load(tmp_path / "file.pth")
    expected = evaluate(net, noise_dataset.test, noise_dataset.class_names)
    report = evaluate(loaded, noise_dataset.test, noise_dataset.class_names)
    assert (report.correct, report.loss) == (expected.correct, expected.loss)
    assert (weights.source.model, weights.num_classes) == ("net", 10)
    assert note in "; ".join(weights.notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("save", [torch.save, safetensors.torch.save_file])
def test_half_precision_is_converted_and_said(tiny, tmp_path, dtype, save):
    half = {name: tensor.to(dtype) for name, tensor in tiny.state_dict().items()}
    save(half, tmp_path / "half.bin")
    loaded, weights = load(tmp_path / "half.bin")
    assert f"converted from {str(dtype)[6:]} to float32" in weights.notes
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, half[name].to(tensor.dtype))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_safetensors_are_told_by_their_content(tiny, tmp_path, name):
    safetensors.torch.save_file(nn.DataParallel(tiny).state_dict(), tmp_path / name)
    loaded, weights = load(tmp_path / name)
    assert weights.source.model == "airbench-tiny"
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), tiny.parameters(), strict=True))


def test_the_format_before_version_1_6_and_files_from_before_batches_were_counted(tiny, tmp_path):
    old = {name: t for name, t in tiny.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save({"net": old}, tmp_path / "old.t7", _use_new_zipfile_serialization=False)
    loaded, _ = load(tmp_path / "old.t7")
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in old.items())


def test_weights_saved_on_a_gpu_load_without_one(net, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
    torch.save(net.state_dict(), tmp_path / "cuda.pth")
    assert b"cuda:0" in (tmp_path / "cuda.pth").read_bytes()
    assert torch.equal(load(tmp_path / "cuda.pth")[0].fc3.bias, net.fc3.bias)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_told_by_its_names_and_shapes_for_any_number_of_classes(tmp_path, name):
    torch.save(create_model(name, num_classes=7).state_dict(), tmp_path / "seven.pth")
    weights = recognize(load_weights(tmp_path / "seven.pth"), None, image_size=32)
    assert (weights.source.model, weights.num_classes) == (name, 7)
    assert f"model {name}, by its names and shapes" in weights.notes


def test_a_part_of_a_name_that_the_model_itself_has_stays(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "wrapped", ModelSpec(factory=f"{__name__}:Wrapped", summary=""))
    torch.save({"module." + name: t for name, t in Wrapped(10).state_dict().items()}, tmp_path / "w.pth")
    weights = recognize(load_weights(tmp_path / "w.pth"), ModelSource("wrapped"), image_size=32)
    assert weights.source.model == "wrapped"
    assert next(iter(weights.tensors)) == "net.conv1.weight"


class Wrapped(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = create_model("net", num_classes=num_classes)


def test_several_models_that_fit_are_a_question(net, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "twin", MODELS["net"])
    torch.save(net.state_dict(), tmp_path / "w.pth")
    assert "fits several models, net, twin: choose one with --set model=" in refusal(tmp_path / "w.pth")
    assert load(tmp_path / "w.pth", "twin")[1].source.model == "twin"


def test_a_run_keeps_its_class_names_and_says_nothing_of_its_own_file(net, tmp_path):
    state = sound_state(
        model=net.state_dict(),
        steps={"trained": copy.deepcopy(net).state_dict()},
        class_names=list("abcdefghij"),
    )
    torch.save(state, tmp_path / "last.pt")
    _, weights = load(tmp_path / "last.pt", "net")
    assert (weights.notes, weights.class_names) == ((), tuple("abcdefghij"))


@pytest.mark.parametrize(
    "beside",
    [
        {"class_names": ["b", "a"]},
        {"classes": ("b", "a")},
        {"class_to_idx": {"a": 1, "b": 0}},
    ],
)
def test_class_names_that_others_save_are_taken(tmp_path, beside):
    torch.save({"net": create_model("net", num_classes=2).state_dict(), **beside}, tmp_path / "w.pth")
    assert load(tmp_path / "w.pth")[1].class_names == ("b", "a")


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": 10},
        {"classes": ["a", "a"]},
        {"classes": ["a", 1]},
        {"classes": []},
        {"class_to_idx": {"a": 0, "b": 2}},
        {"class_to_idx": {"a": [0], "b": {}}},
        {"class_to_idx": {1: 0, 2: 1}},
        {"class_to_idx": {"a": 0, "b": 0}},
    ],
)
def test_what_is_no_list_of_names_is_not_taken_for_one(tmp_path, beside):
    torch.save({"net": create_model("net", num_classes=2).state_dict(), **beside}, tmp_path / "w.pth")
    assert load(tmp_path / "w.pth")[1].class_names is None


def nested(*lengths):
    with warnings.catch_warnings(action="ignore"):  # they are a prototype
        return torch.nested.nested_tensor([torch.zeros(length) for length in lengths])


def changed(net, **changes):
    return {name: t for name, t in (net.state_dict() | changes).items() if t is not None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fc3.bias": None}, "missing fc3.bias"),
        ({"fc3.bias": torch.zeros(7)}, "fc3.bias has shape (7,), expected (10,)"),
        ({"fc2.weight": torch.zeros(120, 84)}, "fc2.weight has shape (120, 84), expected (84, 120)"),
        ({"fc4.bias": torch.zeros(7)}, "unexpected fc4.bias"),
        ({"fc4.bias" * 100: torch.zeros(7)}, "unexpected fc4.biasfc4"),
        ({"fc3.bias": None, "out.bias": torch.zeros(10)}, "expected fc3.bias, found out.bias"),
        ({"fc3.bias": torch.zeros(10, dtype=torch.int8)}, "fc3.bias is torch.int8, expected torch.float32"),
        ({"fc3.bias": torch.zeros(10, device="meta")}, "fc3.bias is no ordinary tensor with values"),
        ({"fc3.bias": torch.zeros(10).to_sparse()}, "fc3.bias is no ordinary tensor with values"),
        ({"fc3.weight": torch.zeros(())}, "fc3.weight has shape ()"),
        ({"fc3.bias": nested(3, 7)}, "fc3.bias is no ordinary tensor with values"),
        ({"conv1.weight": nested(6)}, "conv1.weight is no ordinary tensor with values"),
    ],
)
@pytest.mark.parametrize("model", [None, "net"])
def test_what_does_not_fit_is_named_with_what_is_expected(net, tmp_path, changes, says, model):
    torch.save({"net": {f"module.{n}": t for n, t in changed(net, **changes).items()}}, tmp_path / "w.pth")
    assert says in refusal(tmp_path / "w.pth", model)


def test_the_first_convolution_of_another_resnet18_is_named(tmp_path):
    import torchvision

    torch.save(torchvision.models.resnet18(num_classes=10).state_dict(), tmp_path / "w.pth")
    says = "the closest is resnet18, but conv1.weight has shape (64, 3, 7, 7), expected (64, 3, 3, 3)"
    assert says in refusal(tmp_path / "w.pth")


def test_a_named_model_that_does_not_fit_is_refused_with_what_does(net, tmp_path):
    torch.save({"state_dict": nn.DataParallel(net).state_dict()}, tmp_path / "w.pth")
    sentence = refusal(tmp_path / "w.pth", "resnet18")
    assert "does not match the model resnet18: " in sentence
    assert sentence.endswith("use --set model=net")


def test_a_normalization_layer_beside_the_net_is_not_left_out(net, tmp_path):
    state_dict = {f"1.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save(state_dict | {"0.mean": torch.zeros(3)}, tmp_path / "w.pth")
    assert "fits no model" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["blocks.0.norms.1.running_var", "head.weight"])
def test_weights_that_are_not_finite_have_no_accuracy(tiny, tmp_path, value, name):
    state_dict = copy.deepcopy(tiny.state_dict())
    state_dict[name].view(-1)[3] = value
    torch.save(state_dict, tmp_path / "w.pth")
    assert f"not finite ({name}: 1 of {state_dict[name].numel():,})" in refusal(tmp_path / "w.pth")


def test_a_number_too_large_for_single_precision_is_not_finite(net, tmp_path):
    state_dict = {name: tensor.double() for name, tensor in net.state_dict().items()}
    state_dict["fc3.bias"][0] = 1e300
    torch.save(state_dict, tmp_path / "w.pth")
    assert "not finite (fc3.bias: 1 of 10)" in refusal(tmp_path / "w.pth")


def test_normalization_statistics_that_were_never_updated_are_said(tmp_path):
    torch.save(create_model("airbench-tiny", num_classes=10).state_dict(), tmp_path / "w.pth")
    assert "with normalization statistics that no training has updated" in load(tmp_path / "w.pth")[1].notes


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1, 2],
        torch.zeros(3),
        {"a": 1},
        {"model": {"a": "text"}},
        {1: torch.zeros(1)},
        {"model": {"model": {"model": {"model": {"model": {"model": {"a": torch.zeros(1)}}}}}}},
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "other.pth")
    assert "contains no state_dict" in refusal(tmp_path / "other.pth")


def test_mappings_that_contain_themselves_end(net, tmp_path):
    content = {"net": net.state_dict()}
    content["model"] = content
    torch.save(content, tmp_path / "w.pth")
    assert torch.equal(load(tmp_path / "w.pth")[0].fc3.bias, net.fc3.bias)


def safetensors_header(header):
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        safetensors_header(b"{}")[:-1] + b"x",
        safetensors_header(b"{" + b" " * 50),
        safetensors_header(
            json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        ),
        safetensors_header(json.dumps({"a": {"dtype": "F99", "shape": [], "data_offsets": [0, 0]}}).encode()),
        safetensors_header(b'{"a": {"dtype": "F32", "shape": [1e9], "data_offsets": [0, 4]}}' + b"\0" * 4),
    ],
)
def test_damaged_safetensors_are_one_sentence(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    assert "is not a safetensors file, or is damaged" in refusal(tmp_path / "w.safetensors")


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_named(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "it is in the TorchScript archive" in refusal(tmp_path / "script.pt")
