"""The presets: recipes that the other settings start from. Imports no torch.

tutorial
    The PyTorch tutorial: two convolutions and three linear layers, batches of 4, SGD with momentum 0.9 at a
    constant learning rate of 0.001, two epochs. Source:
    https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html

quick
    Over 80 % in about a minute on two CPU cores. airbench-tiny has a narrow first block, which sees the most
    pixels and so takes the most time, and ReLU instead of GELU. Four epochs of batches of 512; Muon with a
    learning rate of 0.12, which gets further than SGD in so few steps; otherwise the recipe of speedrun, with
    learning rates and weight decay for this batch size and only the mirror image as test-time augmentation.
    The first two epochs train on images of 3/4 the size in little more than half the time. bf16 if it is
    faster. With five minutes, airbench-small (twice as wide, eight epochs) gets further. Sources: those of
    speedrun; low resolution first: Howard,
    https://www.fast.ai/posts/2018-08-10-fastai-diu-imagenet.html

speedrun
    The recipe of airbench94_muon, to 94 % on the lossless CIFAR-10: eight epochs of batches of 2,000; Muon
    with learning rate 0.24 and momentum 0.6 for convolution filters, Nesterov momentum 0.85 for the rest;
    linear decay to 0, label smoothing 0.2, random translation by 2 pixels, alternating flip, six views of
    each test image; bf16, not compiled (compiled, the second loss was not finite on an H200 with PyTorch
    2.11). Charts get one point per epoch, and the test set is evaluated and, unless that takes minutes, a
    checkpoint saved only at the end, to avoid interrupting the steps. The original sums the loss over a batch
    where this is the mean, so its learning rates of biases (0.053) and head (0.67, for weights of norm 1 and
    logits divided by 256) are 106 and 1.66 here. Sources: Jordan, https://arxiv.org/abs/2404.00498;
    https://kellerjordan.github.io/posts/muon/; https://github.com/KellerJordan/cifar10-airbench

resnet18
    The common baseline: ResNet-18 with a stem for small images, 200 epochs of batches of 128, SGD with
    Nesterov momentum 0.9, cosine decay from a learning rate of 0.1, weight decay 5e-4, random translation by
    4 pixels, random flip. 95 to 96 % on the lossless images. Sources: He et al.,
    https://arxiv.org/abs/1512.03385, section 4.2; Loshchilov and Hutter, https://arxiv.org/abs/1608.03983

max
    For 96 % and more, after airbench96: three convolutions and a skip connection per block, 45 epochs of
    batches of 1,024, Nesterov momentum 0.85, bias learning rate 64 times the base, warm-up over 23 % of the
    steps, linear decay to 7 %, lookahead, label smoothing 0.2, random translation by 4 pixels, alternating
    flip, cutout of 12 pixels, six views of each test image. The published learning rate, 11.5 / 7851 for the
    sum over a batch of 1,024, is 1.5 for the mean. Source: Jordan,
    https://arxiv.org/abs/2404.00498, section 5
"""

from typing import Any

_SPEED: dict[str, Any] = {
    "lr_schedule": "linear",
    "label_smoothing": 0.2,
    "translate": 2,
    "flip": "alternating",
    "tta": "mirror+translate",
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
    "tutorial": {"model": "net"},
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
        "chart_every": 1,
    },
    "speedrun": _SPEED_MUON
    | {
        "model": "airbench94",
        "epochs": 8,
        "batch_size": 2000,
        "bias_lr": 106.0,
        "head_lr": 1.66,
        "weight_decay": 0.0167,
        "chart_every": 25,
        "eval_every": 0,
        "checkpoint_every_epochs": 0,
    },
    "resnet18": {
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
    },
}
"""What each preset changes of the defaults, which are the tutorial's."""

PRESET_SUMMARIES: dict[str, str] = {
    "tutorial": "the PyTorch tutorial: a small net, batches of 4, two epochs",
    "quick": "over 80 % in about a minute on two CPU cores",
    "speedrun": "94 % in eight epochs: whitening, Muon, bf16; for a GPU",
    "resnet18": "the common baseline: ResNet-18 for small images, 200 epochs",
    "max": "96 % and more: a wider net with skip connections, 45 epochs; for a GPU",
}
"""One line about each preset, in the same order."""
