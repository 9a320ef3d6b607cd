"""Trainings on a small dataset: their parts, and a trainer whose events are collected."""

import dataclasses

import torch

from cifar_tui.engine.config.fields import Group, setting, whole
from cifar_tui.engine.config.schema import SETTINGS, TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.events import PhaseChanged
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.optim.build import create_optimizer
from cifar_tui.engine.steps.backend import StepParts
from cifar_tui.engine.steps.select import BackendChoice, get_backend
from cifar_tui.engine.training.build import build_training
from cifar_tui.engine.training.run_context import RunContext
from cifar_tui.engine.training.trainer import Trainer


def first_images(dataset, count):
    """`dataset` with only `count` training images."""
    train = ImageSplit(images=dataset.train.images[:count], targets=dataset.train.targets[:count])
    return dataclasses.replace(dataset, train=train)


def make_parts(split, *, classes=10, device="cpu", **settings):
    """What a runner of the given settings trains: a freshly initialized model on `device`, its optimizer."""
    config = TrainConfig(**settings)
    torch.manual_seed(config.seed)
    net = create_model(config.model, num_classes=classes).to(device)
    return StepParts(
        config=config,
        net=net,
        optimizer=create_optimizer(net, config),
        train=ImageSplit(images=split.images.to(device), targets=split.targets.to(device)),
        average=None,
        precision="fp32",
        num_classes=classes,
        class_weights=None,
        log=print,
    )


def config_with(monkeypatch, *, made_up, **settings):
    """Settings that have one more, `made_up`, with the default 0, which no part of the engine reads."""
    field = ("made_up", int, setting(0, "made up", whole(0, 9), group=Group.MACHINE))
    made = dataclasses.make_dataclass("Made", [field], bases=(TrainConfig,), frozen=True, kw_only=True)
    monkeypatch.setitem(SETTINGS, "made_up", dataclasses.fields(made)[-1])
    return made(made_up=made_up, **settings)


def choice_of(backend):
    """The backend called `backend`, whatever it declares."""
    return BackendChoice(backend=get_backend(backend), reason="chosen by this test")


def build_setup(dataset, *, backend="eager", log=print, resumed_precision=None, restore=None, **settings):
    """`build_training` of the given settings, with the backend called `backend`."""
    config = TrainConfig(**settings)
    torch.manual_seed(config.seed)
    return build_training(
        config,
        choice_of(backend),
        net=create_model(config.model, num_classes=len(dataset.class_names)),
        num_classes=len(dataset.class_names),
        train=dataset.train,
        log=log,
        cancelled=lambda: False,
        resumed_precision=resumed_precision,
        restore=restore,
    )


def losses(runner, order, *, step=0, max_steps=1):
    """Train on the images in `order`: the loss of every step."""
    results = runner.run(order, step=step, max_steps=lambda: max_steps)
    return torch.cat([result.losses for result in results])


class MadeTraining:
    """A trainer, the events it emitted and the steps it evaluated at.

    `on_event(training, event)` sees every event; `wrap(runner)` is what runs the steps.
    """

    def __init__(
        self,
        dataset,
        folder,
        *,
        backend="eager",
        on_event=None,
        interactive=True,
        wrap=None,
        state=None,
        **settings,
    ):
        folder.mkdir(exist_ok=True)
        self.events, self.evaluated = [], []
        self.control = RunControl()
        self.on_event = on_event
        precision = state["steps"].get("precision") if state else None
        settings = {"epochs": 1, "log_every": 100, **settings}
        setup = build_setup(
            dataset,
            backend=backend,
            resumed_precision=precision,
            restore=None if state is None else lambda setup: setup.load_state_dict(state),
            **settings,
        )
        if wrap is not None:
            setup = dataclasses.replace(setup, runner=wrap(setup.runner))
        self.setup, self.net = setup, setup.net
        self.trainer = Trainer(
            TrainConfig(**settings),
            setup,
            RunContext(
                folder=RunFolder(folder),
                emit=self.emit,
                control=self.control,
                interactive=interactive,
                settings={},
                provenance={"backend": setup.choice.identity},
                class_names=dataset.class_names,
                normalization=dataset.train.normalization,
                scales=dataset.scales,
            ),
            samples=dataset.test.select(slice(8)),
            evaluate=self.evaluate,
        )
        if state is not None:
            torch.manual_seed(12345)  # whatever the generator was used for in the meantime
            self.trainer.load_state_dict(state)

    def emit(self, event):
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(self, event)

    def evaluate(self, step):
        self.evaluated.append(step)
        return True

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def phases(self):
        return [event.phase for event in self.of(PhaseChanged)]
