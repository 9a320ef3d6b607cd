"""Make up for classes with few images: weights of the loss, and training images drawn by class."""

import torch
from torch import Tensor


def balanced_weights(targets: Tensor, num_classes: int) -> Tensor:
    """The weight of each class that makes all classes count the same: images / (classes × its images).

    A class without images is not counted among the classes, and has the weight 0.
    Source: `class_weight="balanced"` of scikit-learn.

    Args:
        targets: int64 (N,), the classes of the training images, on any device.
        num_classes: number of classes, of the images or not.

    Returns:
        float64 (num_classes,), on the CPU.
    """
    counts = torch.bincount(targets.cpu(), minlength=num_classes).to(torch.float64)
    present = counts > 0
    return torch.where(present, len(targets) / (present.sum() * counts), 0.0)


def image_weights(targets: Tensor) -> Tensor:
    """How likely each image is drawn so that every class is drawn equally often: float64 (N,), on the CPU."""
    targets = targets.cpu()
    return balanced_weights(targets, int(targets.max()) + 1)[targets]
