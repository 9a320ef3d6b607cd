"""What a network sees in images: the input of its last layer, and which of others are nearest in it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar_tui.engine.data.dataset import ImageSplit, images_at_a_time
from cifar_tui.engine.device.memory import FREE_MEMORY, memory_advice
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.models.classifier import last_layer

BATCH_SIZE = 250
"""Images of 32x32 pixels whose features are computed at a time, fewer of larger ones; and fewer than in an
evaluation, for a cancel to be soon."""

_COMPARED = 5000
"""Features that are compared at a time: all of them in float32 might not fit into memory."""


@torch.no_grad()
def last_features(
    net: nn.Module,
    images: ImageSplit,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Tensor | None:
    """Compute what the last layer of `net`, a linear one, gets for `images`, scaled to length 1.

    Args:
        net: the model, on any device, with one view of each image; its mode is restored.
        images: on the CPU.
        progress: called with the number of images done after each batch; may raise to stop.

    Returns:
        float16 (N, D), on the CPU; None if the last layer is not linear.

    Raises:
        RunFailedError: features are not finite.
    """
    head, device = last_layer(net), next(net.parameters()).device
    if not isinstance(head, nn.Linear):
        return None
    features = torch.zeros(len(images), head.in_features, dtype=torch.float16)
    inputs: list[Tensor] = []
    was_training = net.training
    handle = head.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    try:
        net.eval()
        size = images_at_a_time(BATCH_SIZE, images.image_size)
        with memory_advice(f"features are computed of {size} images at a time: {FREE_MEMORY}"):
            for first in range(0, len(images), size):
                inputs.clear()
                batch = images.take(slice(first, first + size)).to(device)
                count = len(batch)
                # never a single image, which a net may squeeze to none
                logits = net(images.normalization.apply(batch.expand(max(2, count), -1, -1, -1)))
                if len(inputs) != 1 or inputs[0].dim() != 2 or head.out_features != logits.shape[1]:
                    return None  # it is somewhere inside
                # in float32: the squares of large features overflow in half precision
                part = functional.normalize(inputs[0][:count].float(), dim=1)
                if not part.isfinite().all():
                    raise RunFailedError(
                        "the features of the last layer are not finite, so no image is near: "
                        "use precision fp32"
                    )
                features[first : first + count] = part.cpu()
                progress(first + count)
    finally:
        handle.remove()
        net.train(was_training)
    return features


def nearest(feature: Tensor, others: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` rows of `others` nearest to `feature` by cosine similarity.

    Args:
        feature: float16 (D,), of length 1, as `last_features` returns.
        others: float16 (N, D), likewise.
        count: how many to find; all if there are fewer.

    Returns:
        Their indices, int64 (K,), the nearest one first; and their similarities, float32 (K,), -1 to 1.
    """
    parts = (others[first : first + _COMPARED] for first in range(0, len(others), _COMPARED))
    similarities = torch.cat(
        [feature.new_zeros(0).float(), *(part.float() @ feature.float() for part in parts)]
    )
    found = similarities.topk(min(count, len(others)))
    return found.indices, found.values
