"""Mean and standard deviation of the training images, channel by channel."""

import numpy as np
import torch
from torch import Tensor

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.data.normalization import Normalization

_WHITE = 255
_SUMMED_IMAGES = 4096


def measured_normalization(train: ImageSplit) -> Normalization:
    """The normalization that gives `train`, as a whole, mean 0 and standard deviation 1 in each channel.

    Images in a file are not read: the sums of each were kept when it was written. A channel of one shade has
    the deviation of one step of 255.
    """
    images = train.images
    if isinstance(images, Tensor):
        sums = squares = np.zeros(3, np.int64)
        for part in torch.split(images, _SUMMED_IMAGES):
            shades = part.to(torch.int64)
            sums = sums + shades.sum(dim=(0, 2, 3)).cpu().numpy()
            squares = squares + shades.square().sum(dim=(0, 2, 3)).cpu().numpy()
    else:
        sums, squares = (images.facts[name].sum(axis=0) for name in ("sums", "squares"))
    pixels = len(train) * train.image_size**2
    mean = sums / pixels / _WHITE
    variance = squares / pixels / _WHITE**2 - mean**2
    std = np.maximum(np.sqrt(np.maximum(variance, 0)), 1 / _WHITE)
    return Normalization(mean=tuple(mean.tolist()), std=tuple(std.tolist()))
