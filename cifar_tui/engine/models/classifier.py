"""What a model may tell the engine about itself; any other `nn.Module` trains as it is."""

from collections.abc import Mapping

from torch import Tensor, nn


class Classifier(nn.Module):
    """A model with wishes about its training; each method's default suits most models."""

    def init_from_images(self, images: Tensor) -> None:
        """Initialize what depends on the training images: uint8 (N, 3, H, W)."""
        del images

    def frozen_parameters(self, epoch: int) -> list[nn.Parameter]:
        """Parameters that no longer learn in `epoch`, counted from 0, nor later."""
        del epoch
        return []

    def base_lr_biases(self, optimizer: str) -> list[nn.Parameter]:
        """Biases that keep the base learning rate where `bias_lr` is set, with `optimizer`."""
        del optimizer
        return []


def last_linear(net: nn.Module) -> nn.Linear | None:
    """The head: the last linear layer; None without one."""
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def infer_num_classes(state_dict: Mapping[str, Tensor]) -> int | None:
    """How many classes the weights of a model predict: the rows of its last matrix; None without one."""
    matrices = [tensor for tensor in state_dict.values() if tensor.ndim == 2]
    return len(matrices[-1]) if matrices else None
