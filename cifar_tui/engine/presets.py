"""The presets: recipes that the other settings start from. Imports no torch.

tutorial
    The PyTorch tutorial: two convolutions and three linear layers, batches of 4, SGD with momentum 0.9 at a
    constant rate of 0.001, two epochs. Source:
    https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html
"""

from typing import Any

_TUTORIAL: dict[str, Any] = {
    "model": "net",
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "bias_learning_rate": 0.0,
    "head_learning_rate": 0.0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warm_up": 0.0,
    "warm_up_from": 0.2,
    "final_rate": 0.0,
    "label_smoothing": 0.0,
    "averaging": "none",
    "averaging_decay": 0.95,
    "shift": 0,
    "flip": "none",
    "cutout": 0,
    "test_views": "none",
    "precision": "fp32",
    "channels_last": False,
    "compiled": False,
    "loss_window": 2000,
    "point_every": 0,
}

_SPEED_SGD: dict[str, Any] = {
    "batch_size": 1024,
    "optimizer": "nesterov",
    "learning_rate": 1.5,
    "bias_learning_rate": 96.0,
    "momentum": 0.85,
    "weight_decay": 0.00133,
    "schedule": "linear",
    "warm_up": 0.23,
    "warm_up_from": 0.2,
    "final_rate": 0.07,
    "label_smoothing": 0.2,
    "averaging": "lookahead",
    "averaging_decay": 0.95,
    "shift": 2,
    "flip": "alternating",
    "test_views": "six",
    "precision": "auto",
    "channels_last": True,
    "loss_window": 25,
    "point_every": 5,
}

PRESETS: dict[str, dict[str, Any]] = {
    "tutorial": _TUTORIAL,
    "quick": _TUTORIAL
    | _SPEED_SGD
    | {
        "model": "speednet-32",
        "epochs": 4,
        "test_views": "mirror",
    },
}
"""The settings of every preset, by name: each names all that a recipe is made of."""
