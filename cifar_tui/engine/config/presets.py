"""The presets: recipes that the other settings start from, each explained here. Imports no torch.

tutorial
    The PyTorch tutorial: two convolutions and three linear layers, batches of 4, SGD with momentum 0.9 at a
    constant rate of 0.001, two epochs. Source:
    https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html

quick
    A good accuracy in about a minute on two CPU cores: airbench-tiny, whose first block is narrow, for it has
    the most pixels and so takes the most time, with ReLU in place of GELU; four epochs of batches of 512,
    Muon at a rate of 0.12, which on so few steps comes further than SGD, and the rest of the recipe of
    speedrun, its rates for this size of batch. The first two epochs are on images of three quarters the size,
    which takes little more than half the time. It computes in bf16 where that is faster. Given five minutes,
    eight epochs of airbench-small, twice as wide, come further still. Sources: those of speedrun; small
    images first: Howard, https://www.fast.ai/posts/2018-08-10-fastai-diu-imagenet.html

speedrun
    The fastest way to 94 % on the lossless CIFAR-10, after airbench94_muon: airbench94, eight epochs of
    batches of 2,000, Muon at a rate of 0.24 and momentum 0.6 for the filters of convolutions, Nesterov
    momentum 0.85 for the rest, rates that fall to 0 in a line, labels smoothed by 0.2, shifts of 2 pixels,
    alternating flips, six views of a test image; in bf16, and compiled on a GPU. An epoch is a point of the
    charts, and the test set is evaluated at the end alone, so that little comes between the steps. That
    recipe sums the loss over a batch and here it is the mean, so the rates of biases (0.053) and of the last
    layer (0.67, for weights of size 1 and logits divided by 256) are 106 and 1.66 here. Sources: Jordan,
    https://arxiv.org/abs/2404.00498; https://kellerjordan.github.io/posts/muon/;
    https://github.com/KellerJordan/cifar10-airbench

resnet18
    What everybody compares with: ResNet-18 with a stem for small images, 200 epochs of batches of 128, SGD
    with Nesterov momentum 0.9 from a rate of 0.1 down a cosine to 0, a weight decay of 5e-4, shifts of 4
    pixels and random flips. 95 to 96 % on the lossless images. Sources: He et al.,
    https://arxiv.org/abs/1512.03385, section 4.2; Loshchilov and Hutter, https://arxiv.org/abs/1608.03983

max
    The most accuracy to a minute, for 96 % and more, after airbench96: airbench96, which has a third
    convolution and a shortcut in every block, 45 epochs of batches of 1,024, Nesterov momentum 0.85 with
    biases 64 times as fast, rates that rise for 23 % of the steps and then fall to 7 % in a line, lookahead,
    labels smoothed by 0.2, shifts of 4 pixels, alternating flips, squares of 12 pixels cut out, six views of
    a test image. The published rate, 11.5 / 7851 for the sum over a batch of 1,024, is 1.5 for its mean.
    Source: Jordan, https://arxiv.org/abs/2404.00498, section 5
"""

from typing import Any

_TUTORIAL: dict[str, Any] = {
    "model": "net",
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "bias_lr": 0.0,
    "head_lr": 0.0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "lr_schedule": "constant",
    "warmup_fraction": 0.0,
    "warmup_start_factor": 0.2,
    "final_lr_factor": 0.0,
    "label_smoothing": 0.0,
    "weight_averaging": "none",
    "ema_decay": 0.95,
    "translate": 0,
    "flip": "none",
    "cutout": 0,
    "low_res_fraction": 0.0,
    "tta": "none",
    "precision": "fp32",
    "channels_last": False,
    "compile": "no",
    "log_every": 2000,
    "chart_every": 0,
    "eval_every": 1,
}

_SPEED: dict[str, Any] = _TUTORIAL | {
    "lr_schedule": "linear",
    "label_smoothing": 0.2,
    "translate": 2,
    "flip": "alternating",
    "tta": "six",
    "precision": "auto",
    "channels_last": True,
    "log_every": 25,
    "chart_every": 5,
}

_SPEED_MUON: dict[str, Any] = _SPEED | {
    "optimizer": "muon",
    "learning_rate": 0.24,
    "momentum": 0.6,
}

PRESETS: dict[str, dict[str, Any]] = {
    "tutorial": _TUTORIAL,
    "quick": _SPEED_MUON
    | {
        "model": "airbench-tiny",
        "epochs": 4,
        "batch_size": 512,
        "learning_rate": 0.12,
        "bias_lr": 27.0,
        "head_lr": 0.42,
        "weight_decay": 0.0083,
        "low_res_fraction": 0.67,
        "tta": "mirror",
    },
    "speedrun": _SPEED_MUON
    | {
        "model": "airbench94",
        "epochs": 8,
        "batch_size": 2000,
        "bias_lr": 106.0,
        "head_lr": 1.66,
        "weight_decay": 0.0167,
        "compile": "auto",
        "chart_every": 25,
        "eval_every": 0,
    },
    "resnet18": _TUTORIAL
    | {
        "model": "resnet18",
        "epochs": 200,
        "batch_size": 128,
        "optimizer": "nesterov",
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "lr_schedule": "cosine",
        "translate": 4,
        "flip": "random",
        "precision": "auto",
        "channels_last": True,
        "log_every": 100,
        "chart_every": 10,
    },
    "max": _SPEED
    | {
        "model": "airbench96",
        "epochs": 45,
        "batch_size": 1024,
        "optimizer": "nesterov",
        "learning_rate": 1.5,
        "bias_lr": 96.0,
        "momentum": 0.85,
        "weight_decay": 0.00133,
        "warmup_fraction": 0.23,
        "final_lr_factor": 0.07,
        "weight_averaging": "lookahead",
        "translate": 4,
        "cutout": 12,
        "compile": "auto",
    },
}
"""The settings of every preset, by name: each names all that a recipe is made of."""
