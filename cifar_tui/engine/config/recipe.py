"""The settings of the recipe: what is trained, on what and how. Imports no torch."""

from dataclasses import dataclass

from cifar_tui.engine.config.fields import (
    Group,
    choice,
    device_name,
    not_empty,
    number,
    path_or_empty,
    setting,
    switch,
    whole,
)
from cifar_tui.engine.config.presets import PRESET_SUMMARIES, PRESETS
from cifar_tui.engine.data.registry import SOURCES
from cifar_tui.engine.models.own.name import FORM as OWN
from cifar_tui.engine.models.published.names import FORM as PUBLISHED
from cifar_tui.engine.models.published.names import published_name
from cifar_tui.engine.models.registry import MODELS, model_problem
from cifar_tui.engine.optim.lr_schedule import LR_SCHEDULES
from cifar_tui.engine.optim.registry import FORM as FORM_TORCH
from cifar_tui.engine.optim.registry import (
    OPTIMIZERS,
    TORCH_SUGGESTIONS,
    optimizer_problem,
    options_problem,
    torch_optimizer_name,
)

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeSettings:
    """The first groups of the form; see `TrainConfig`, which checks their values."""

    preset: str = choice(
        "tutorial",
        "recipe that the other settings start from",
        PRESETS,
        explained=PRESET_SUMMARIES,
        in_step=False,
        in_recipe=False,
        group=Group.ESSENTIALS,
    )
    data: str = setting(
        "auto",
        "cifar10 (auto: the same), torchvision:NAME, synthetic, a folder, .csv, .npz, cifar-10-python.tar.gz",
        not_empty,
        suggestions=SOURCES,
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.ESSENTIALS,
        folder=True,
    )
    model: str = setting(
        PRESETS["tutorial"]["model"],
        "model architecture, torchvision:NAME, or a net of your own: FILE.py:NAME, a class or function that "
        "makes it",
        model_problem,
        choices=MODELS,
        explained={name: spec.summary for name, spec in MODELS.items()},
        others={
            PUBLISHED: "an architecture of torchvision.models",
            OWN: "a net of your own, from a file",
        },
        group=Group.ESSENTIALS,
    )
    epochs: int = setting(
        2,
        "passes over the training images",
        whole(1, 100_000),
        in_step=False,
        resumable=True,
        group=Group.ESSENTIALS,
    )
    batch_size: int = setting(4, "training images per step", whole(1, 65_536), group=Group.ESSENTIALS)
    learning_rate: float = setting(
        0.001, "step size of the optimizer", number(0, 100, above=True), group=Group.ESSENTIALS
    )
    device: str = setting(
        "auto",
        "auto, cpu, cuda, cuda:N or mps",
        device_name,
        suggestions=("auto", "cpu", "cuda", "cuda:0", "mps"),
        in_step=False,
        in_recipe=False,
        resumable=True,
        group=Group.ESSENTIALS,
    )
    seed: int = setting(
        0,
        "seed of weights, order, augmentation, random splits and synthetic images; repeatable on a CPU",
        whole(0, _MAX_SEED),
        in_step=False,
        in_recipe=False,
        group=Group.ESSENTIALS,
    )
    image_size: int = setting(
        32,
        "height and width of the images, in pixels: their shorter side is resized, their centre cropped",
        whole(8, 512),
        in_recipe=False,
        group=Group.IMAGES,
        later=True,
    )
    normalization: str = choice(
        "auto",
        "what pixels become; tutorial: from -1 to 1; dataset: less the mean of the training images, divided "
        "by their deviation; imagenet: with those of ImageNet; auto: that of pretrained, else tutorial",
        ("auto", "tutorial", "dataset", "imagenet"),
        group=Group.IMAGES,
        later=True,
    )
    pretrained: bool = switch(
        default=False,
        description="start from the weights that torchvision publishes for the architecture, downloaded into "
        "torch's cache",
        in_step=False,
        group=Group.WEIGHTS,
        used_if=lambda values: published_name(values["model"]) is not None,
        later=True,
    )
    weights: str = setting(
        "",
        "file of weights to start from, in any format that eval reads; the last layer starts fresh where the "
        "classes are others",
        path_or_empty,
        in_step=False,
        group=Group.WEIGHTS,
        words={"none": ""},
        folder=True,
        later=True,
    )
    freeze: str = choice(
        "none",
        "what stays as it starts while the rest trains; backbone: all but the last layer",
        ("none", "backbone"),
        group=Group.WEIGHTS,
        later=True,
    )
    freeze_epochs: int = setting(
        0,
        "epochs that train the last layer alone, before the rest",
        whole(0, 100_000),
        in_step=False,
        group=Group.WEIGHTS,
        words={"all": 0},
        used_if=lambda values: values["freeze"] != "none",
        later=True,
    )
    optimizer: str = setting(
        "sgd",
        "sgd, nesterov, adamw, muon (convolution filters only; Nesterov SGD for the rest), or torch:NAME, "
        "one of torch.optim",
        optimizer_problem,
        choices=OPTIMIZERS,
        others={FORM_TORCH: "one of torch.optim, such as torch:RMSprop"},
        suggestions=TORCH_SUGGESTIONS,
        group=Group.OPTIMIZER,
    )
    optimizer_options: str = setting(
        "",
        "options of torch:NAME as in a call in Python, such as betas=(0.9, 0.95), eps=1e-6",
        options_problem,
        group=Group.OPTIMIZER,
        words={"torch's own": ""},
        used_if=lambda values: torch_optimizer_name(values["optimizer"]) is not None,
        later=True,
    )
    momentum: float = setting(
        0.9,
        "share of the last update kept in the next; beta1 for adamw; for muon, that of convolution filters "
        "(0.85 for the rest); for torch:NAME, its option momentum",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
    )
    weight_decay: float = setting(
        0.0,
        "pull of the weights towards 0, rescaled where bias_lr and head_lr apply so that all weights decay "
        "equally fast; with muon, none on convolution filters",
        number(0, 10),
        group=Group.OPTIMIZER,
    )
    bias_lr: float | None = setting(
        None,
        "learning rate of biases and norms",
        number(0, 1000, above=True),
        group=Group.OPTIMIZER,
        words={"same as learning_rate": None},
    )
    head_lr: float | None = setting(
        None,
        "learning rate of the last layer",
        number(0, 1000, above=True),
        group=Group.OPTIMIZER,
        words={"same as learning_rate": None},
    )
    label_smoothing: float = setting(
        0.0,
        "share of the target spread evenly over all classes",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
    )
    class_weights: str = choice(
        "none",
        "weights of the classes in the training loss; balanced: images / (classes × images of the class)",
        ("none", "balanced"),
        in_recipe=False,
        group=Group.OPTIMIZER,
        later=True,
    )
    sampler: str = choice(
        "shuffle",
        "training images of an epoch; weighted: drawn with replacement, every class equally often",
        ("shuffle", "weighted"),
        in_step=False,
        in_recipe=False,
        group=Group.OPTIMIZER,
        later=True,
    )
    weight_averaging: str = choice(
        "none",
        "evaluate and save averaged weights; lookahead also continues training from them",
        ("none", "ema", "lookahead"),
        group=Group.OPTIMIZER,
    )
    ema_decay: float = setting(
        0.95,
        "share of the average kept at each step",
        number(0, 1, below=True),
        group=Group.OPTIMIZER,
        used_if=lambda values: values["weight_averaging"] != "none",
    )
    lr_schedule: str = choice(
        "constant", "how the learning rate changes after the warm-up", LR_SCHEDULES, group=Group.SCHEDULE
    )
    warmup_fraction: float = setting(
        0.0,
        "fraction of the steps used for warm-up",
        number(0, 1, below=True),
        group=Group.SCHEDULE,
        words={"none": 0.0},
    )
    warmup_start_factor: float = setting(
        0.2,
        "learning rate at the start of the warm-up, as a multiple of learning_rate",
        number(0, 1),
        group=Group.SCHEDULE,
        used_if=lambda values: values["warmup_fraction"] != 0,
    )
    final_lr_factor: float = setting(
        0.0,
        "final learning rate, as a multiple of learning_rate",
        number(0, 1),
        group=Group.SCHEDULE,
        used_if=lambda values: values["lr_schedule"] != "constant",
    )
    flip: str = choice(
        "none",
        "horizontal flip: random, or alternating (each image flipped every other epoch)",
        ("none", "random", "alternating"),
        group=Group.AUGMENTATION,
    )
    translate: int = setting(
        0,
        "largest random shift of training images, in pixels; at most half of image_size",
        whole(0, 256),
        group=Group.AUGMENTATION,
        words={"none": 0},
    )
    cutout: int = setting(
        0,
        "side of the square masked in training images, in pixels; at most image_size",
        whole(0, 512),
        group=Group.AUGMENTATION,
        words={"none": 0},
    )
    low_res_fraction: float = setting(
        0.0,
        "fraction of the epochs, at the start, trained at 3/4 resolution",
        number(0, 1, below=True),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
    )
    random_resized_crop: float = setting(
        0.0,
        "least share of the image's area in a random crop, which is resized to the whole, such as 0.25",
        number(0, 1),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
        later=True,
    )
    rand_augment: int = setting(
        0,
        "magnitude of RandAugment, two random operations on each image, such as 9",
        whole(0, 30),
        group=Group.AUGMENTATION,
        words={"none": 0},
        later=True,
    )
    color_jitter: float = setting(
        0.0,
        "strength of random brightness, contrast and saturation, such as 0.4; a quarter of it for the hue",
        number(0, 1),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
        later=True,
    )
    mixup: float = setting(
        0.0,
        "alpha of MixUp, the weighted sum of two images and their classes, such as 0.2",
        number(0, 10),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
        later=True,
    )
    cutmix: float = setting(
        0.0,
        "alpha of CutMix, a rectangle of another image and its class, such as 1; with mixup, one of them",
        number(0, 10),
        group=Group.AUGMENTATION,
        words={"none": 0.0},
        later=True,
    )
