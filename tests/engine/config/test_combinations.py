"""Values of settings that cannot be combined are refused in one sentence that says what to do."""

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "field", "sentence"),
    [
        (
            {"image_size": 64},
            "image_size",
            (
                "image_size 64 needs another model: net takes 32×32 pixels only; choose resnet18, "
                "airbench-tiny, airbench-small, airbench94, airbench95, airbench96 or a net of your own"
            ),
        ),
        (
            {"image_size": 8, "model": "airbench94"},
            "image_size",
            "image_size 8 is too small for airbench94, which takes images from 9×9 pixels",
        ),
        (
            {"image_size": 11, "model": "airbench-tiny", "low_res_fraction": 0.5},
            "image_size",
            (
                "image_size 11 is too small for airbench-tiny, which takes images from 9×9 pixels "
                "(low_res_fraction reduces them to 8×8)"
            ),
        ),
        (
            {"image_size": 20, "model": "resnet18", "translate": 11},
            "translate",
            "translate 11 must be a whole number from 0 to 10 with image_size 20",
        ),
        (
            {"translate": 17},
            "translate",
            "translate 17 must be a whole number from 0 to 16 with image_size 32",
        ),
        ({"cutout": 33}, "cutout", "cutout 33 must be a whole number from 0 to 32 with image_size 32"),
    ],
)
def test_what_does_not_fit_images_of_this_size_is_refused(settings, field, sentence):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**settings)
    assert (caught.value.field, str(caught.value)) == (field, sentence)


@pytest.mark.parametrize(
    "settings",
    [
        {"image_size": 8, "model": "resnet18", "translate": 4, "cutout": 8, "low_res_fraction": 0.5},
        {"image_size": 9, "model": "airbench94"},
        {"image_size": 12, "model": "airbench-tiny", "low_res_fraction": 0.5},
        {"image_size": 512, "model": "resnet18", "translate": 256, "cutout": 512},
        {"image_size": 224, "model": "my.py:Net"},
    ],
)
def test_what_fits_is_taken(settings):
    assert TrainConfig(**settings).image_size == settings["image_size"]
