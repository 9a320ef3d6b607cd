"""`ModelSource`: what makes the net of a run, whoever wrote it; and the registered models as one."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn

from torch import Tensor, nn

from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.models.registry import create_model


class ModelSource:
    """Makes the net that the setting `model` names.

    As it is, it makes a registered model, of which nothing is unknown. Others override what differs.

    Args:
        model: the setting.

    Attributes:
        model: the setting.
        is_tried: whether a net may fail on images of some size, so that it is tried before the first step.
    """

    is_tried: bool = False

    def __init__(self, model: str) -> None:
        self.model = model

    @property
    def hash(self) -> str:
        """The SHA-256 of the net's source, where that is no part of a library; "" otherwise."""
        return ""

    def build(self, *, num_classes: int, image_size: int) -> nn.Module:
        """Build a freshly initialized net on the CPU; draws from the global generators what it draws.

        Args:
            num_classes: number of logits per image.
            image_size: height and width of the images in pixels.

        Raises:
            ConfigError: there is none for such images.
        """
        del image_size
        return create_model(self.model, num_classes=num_classes)

    def renamed(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """Give what a file of weights has the names of the net; says what was left out, in words."""
        return dict(tensors), ()

    def resized(
        self, tensors: Mapping[str, Tensor], image_size: int
    ) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
        """Fit weights for images of another size to `image_size`; says what was resized, in words."""
        del image_size
        return tensors, ()

    def keep(self, folder: Path) -> None:
        """Keep in the folder of a run what only the user has of the net.

        Raises:
            OSError: it cannot be written.
        """

    def refuse(self, reason: str, net: nn.Module | None = None) -> NoReturn:
        """Raise a ConfigError with `reason`, which says where it is in `net`."""
        del net
        raise ConfigError(f"{self.model}: {reason}", field="model")

    def isolated(self) -> AbstractContextManager[None]:
        """Run a block that calls the net, whose settings of torch and the process do not stay."""
        return nullcontext()

    def called(self, net: nn.Module | None = None) -> AbstractContextManager[None]:
        """Run a block that calls `net` among other things, and explain what the net raises."""
        del net
        return nullcontext()

    def running(
        self,
        kind: type[UserError],
        net: nn.Module | None = None,
        *,
        doing: str = "",
        among_others: bool = False,
    ) -> AbstractContextManager[None]:
        """Turn what the net raises in a block into an error of `kind`.

        Args:
            kind: of the error.
            net: that runs.
            doing: what the block does, for the sentence.
            among_others: whether the block does more than to run the net.
        """
        del kind, net, doing, among_others
        return nullcontext()
