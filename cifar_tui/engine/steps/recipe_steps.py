"""The steps of a recipe: the tutorial's, with whatever the settings add to them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.device.capabilities import compiles
from cifar_tui.engine.device.compile import CompilationError, compile_model
from cifar_tui.engine.device.precision import autocast, loss_scale
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models import AirbenchNet
from cifar_tui.engine.optim.lr_schedule import lr_factor
from cifar_tui.engine.optim.weight_averaging import Averaging
from cifar_tui.engine.steps.eager import StepResult, images_per_point
from cifar_tui.engine.training.augment import Augmentation, AugmentParams, augment, downscale, draw
from cifar_tui.engine.training.batches import epoch_size, normalize

_PREPARED_IMAGES = 1024
_WHITENING_EPOCHS = 3
_ROUNDING = 1e-9


def low_res_epochs(share: float, epochs: int) -> int:
    """How many of `epochs`, from the first, are on images of three quarters the size."""
    return int(share * epochs + _ROUNDING)


class RecipeSteps:
    """One step after the other, with augmentation, a schedule, smoothed labels, averaging and low precision.

    Args:
        config: the settings of all these.
        net: that is trained, on the device of `train`.
        optimizer: over the parameters of `net`.
        averaging: of the weights of `net`; None for none.
        train: the training images.
        precision: fp32, tf32, bf16 or fp16.
        say: told why the net is not compiled where it was to be.
    """

    def __init__(
        self,
        *,
        config: TrainConfig,
        net: nn.Module,
        optimizer: Optimizer,
        averaging: Averaging | None,
        train: ImageSplit,
        precision: str,
        say: Callable[[str], None],
    ) -> None:
        epoch = epoch_size(net, len(train), config.batch_size)
        self._config = config
        self._net = net
        self._forward: Callable[[Tensor], Tensor] = net
        self._optimizer = optimizer
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._averaging = averaging
        self._train = train
        self._precision = precision
        self._say = say
        self._augmentation = Augmentation(translate=config.translate, flip=config.flip, cutout=config.cutout)
        self._images_per_epoch, self._steps_per_epoch = epoch.images, epoch.steps
        self._total_steps = config.epochs * self._steps_per_epoch
        self._small_epochs = low_res_epochs(config.low_res_fraction, config.epochs)
        self._step = 0
        self.images_per_point = images_per_point(train.targets.device)

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Compile the net, where that is set, for every size of images and batches, once that has begun.

        Where it fails the net is trained uncompiled, unless compiling was asked for.

        Raises:
            ConfigError: it was, and it fails.
        """
        if not compiles(self._config, self._train.targets.device) or cancelled():
            return
        images, batch_size = self._images_per_epoch, self._config.batch_size
        sizes = {min(batch_size, images), images % batch_size or min(batch_size, images)}
        whole = self._in_format(normalize(self._train.images[:1]))
        examples = [whole, self._in_format(downscale(whole))] if self._small_epochs else [whole]
        try:
            self._forward = compile_model(self._net, examples, sizes, self._precision)
        except CompilationError as error:
            if self._config.compile == "yes":
                raise ConfigError(
                    f"compile yes cannot be had, torch.compile fails here ({error}): set compile=no",
                    field="compile",
                ) from error
            self._say(f"training uncompiled: torch.compile fails here ({error})")

    def over(self, order: Tensor, *, at_most: Callable[[], int]) -> Iterator[StepResult]:
        """Train on the images in `order`, one step to a result."""
        del at_most
        epoch = self._step // self._steps_per_epoch
        draws = self._draws_of(epoch)
        small = epoch < self._small_epochs
        if isinstance(self._net, AirbenchNet) and self._forward is self._net:
            # A frozen bias spares the largest gradient there is, that of the first block's inputs. A compiled
            # net would have to be compiled anew: there the bias gets a gradient that is dropped.
            self._net.whitening.bias.requires_grad_(epoch < _WHITENING_EPOCHS)  # type: ignore[union-attr]  # the layer has one
        batch_size = self._config.batch_size
        prepared = max(1, _PREPARED_IMAGES // batch_size) * batch_size
        for indices in torch.split(order.to(self._train.targets.device), prepared):
            inputs = augment(self._train.images, indices, draws, self._augmentation)
            if small:
                inputs = downscale(inputs)
            inputs = self._in_format(inputs)
            targets = self._train.targets[indices]
            for batch in zip(torch.split(inputs, batch_size), torch.split(targets, batch_size), strict=True):
                yield self._result(*batch)

    def _result(self, inputs: Tensor, targets: Tensor) -> StepResult:
        loss, logits = self.train_step(inputs, targets)
        correct = (logits.argmax(dim=1) == targets).sum()
        return StepResult(losses=loss.unsqueeze(0), correct=correct, images=len(targets))

    def train_step(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One update on one batch.

        Args:
            inputs: float32 (N, 3, 32, 32), normalised.
            targets: int64 (N,).

        Returns:
            The batch's mean loss against the smoothed labels, shape (), and the logits (N, C) it came from,
            both without gradients.
        """
        self._set_rates()
        self._optimizer.zero_grad()
        with autocast(self._precision, inputs.device):
            logits = self._forward(inputs)
        logits = logits.float()
        loss = functional.cross_entropy(logits, targets, label_smoothing=self._config.label_smoothing)
        self._backward(loss)
        if isinstance(self._net, AirbenchNet) and self._step >= _WHITENING_EPOCHS * self._steps_per_epoch:
            self._net.whitening.bias.grad = None  # type: ignore[union-attr]  # the layer has one
        self._optimizer.step()
        self._step += 1
        if self._averaging is not None:
            self._averaging.update(self._step, self._total_steps)
        return loss.detach(), logits.detach()

    def state_dict(self) -> dict[str, Any]:
        """How far the training is, and the weights that are trained where their average is evaluated."""
        trained = None if self._averaging is None else self._net.state_dict()
        return {"step": self._step, "precision": self._precision, "trained": trained}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, in the precision these steps were made for.

        Raises:
            KeyError, RuntimeError: `state` is not one of this net and these settings.
        """
        self._step = state["step"]
        if self._averaging is not None:
            self._net.load_state_dict(state["trained"])

    def _draws_of(self, epoch: int) -> AugmentParams:
        return draw(
            self._augmentation,
            len(self._train),
            size=self._train.images.shape[-1],
            seed=self._config.seed,
            epoch=epoch,
            device=self._train.targets.device,
        )

    def _in_format(self, inputs: Tensor) -> Tensor:
        last = self._config.channels_last
        return inputs.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _set_rates(self) -> None:
        config = self._config
        factor = lr_factor(
            config.lr_schedule,
            self._step,
            self._total_steps,
            warmup_fraction=config.warmup_fraction,
            warmup_start_factor=config.warmup_start_factor,
            final_lr_factor=config.final_lr_factor,
        )
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _backward(self, loss: Tensor) -> None:
        scale = loss_scale(self._precision)
        if scale == 1:
            torch.autograd.backward(loss)
            return
        torch.autograd.backward(loss * scale)
        gradients = [parameter.grad for parameter in self._net.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1 / scale)
