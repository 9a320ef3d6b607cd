"""`torchvision:NAME` as a setting: checked and completed without importing torch."""

import importlib.util

import pytest
import torchvision

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.published.names import complete_published, published_name, published_names
from cifar_tui.engine.models.published.net import PublishedModel


def test_the_names_are_those_that_the_installed_torchvision_lists():
    assert list(published_names()) == torchvision.models.list_models(module=torchvision.models)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "squeezenet1_1", "regnet_y_400mf"])
def test_every_name_of_torchvision_is_a_model(name):
    assert TrainConfig(model=f"torchvision:{name}").model == f"torchvision:{name}"
    assert published_name(f"torchvision:{name}") == name


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("torchvision:resnet81", r"is not in torchvision; did you mean 'resnet18'\?"),
        ("torchvision:xyzzy", r"is not in torchvision; some are resnet18, "),
        ("torchvision:fasterrcnn_resnet50_fpn", "is not in torchvision"),
        ("torchvision:quantized_resnet18", "is not in torchvision"),
        ("torchvision:", "must be torchvision:NAME"),
        ("torchvision:resnet 18", "must be torchvision:NAME"),
    ],
)
def test_a_name_that_torchvision_does_not_have_is_refused(model, words):
    with pytest.raises(ConfigError, match=rf"^model '{model}' {words}") as refused:
        TrainConfig(model=model)
    assert refused.value.field == "model"


def test_without_its_source_torchvision_itself_tells_what_it_has(monkeypatch):
    published_names.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        config = TrainConfig(model="torchvision:resnet81")
    finally:
        published_names.cache_clear()
    with pytest.raises(ConfigError, match=r"is not in torchvision; did you mean 'resnet18'"):
        PublishedModel(config.model)


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("torchv", "torchvision:alexnet"),
        ("torchvision:res", "torchvision:resnet18"),
        ("torchvision:resnet18", "torchvision:resnet18"),
        ("torchvision:x", None),
        ("", None),
    ],
)
def test_a_name_is_completed(text, completed):
    assert complete_published(text) == completed
