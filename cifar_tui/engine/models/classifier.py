"""Optional hooks for models; a plain `nn.Module` needs none."""

from torch import Tensor, nn

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.errors import WrongOutputError


class Classifier(nn.Module):
    """Base class for models with special training needs; the defaults suit most."""

    def init_from_images(self, train: ImageSplit) -> None:
        """Initialize what depends on the training images."""
        del train

    def frozen_parameters(self, epoch: int) -> list[nn.Parameter]:
        """Parameters frozen from `epoch` (0-based) on."""
        del epoch
        return []

    def base_lr_biases(self, optimizer: str) -> list[nn.Parameter]:
        """Biases that keep the base learning rate where `bias_lr` is set, with `optimizer`."""
        del optimizer
        return []


def logits_in(output: object) -> Tensor:
    """Return the `output` of a net as float32 logits.

    Raises:
        WrongOutputError: it is no tensor; a net of the user's may return one in its first steps only.
    """
    if not isinstance(output, Tensor):
        raise WrongOutputError(f"the net returns a value of type {type(output).__name__}, not logits")
    return output.float()


def last_layer(net: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """The head: the last linear layer, or without any the last convolution; None without either."""
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    return linear[-1] if linear else convolutions[-1] if convolutions else None


def name_of(net: nn.Module, layer: nn.Module) -> str:
    """The name of `layer` in `net`."""
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    return names[layer]
