"""What an evaluation leaves in a folder: its event, its predictions and its test images."""

import numpy as np
import torch

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from cifar_tui.runs.disk.samples import write_predictions, write_samples
from cifar_tui.runs.results import ImagePredictions

NAMES = ("plane", "car", "cat")


def evaluate(folder, targets, predicted, *, step=20, names=NAMES, confidence=0.5, pixels=0, images=None):
    """Write what an evaluation writes into `folder`, and return its event.

    The test images are noise from the seed `pixels`; only the first `images` are kept, all by default.
    """
    targets, predicted = np.array(targets), np.array(predicted)
    confidences = np.full((len(targets), 1), confidence, np.float32)
    made = ImagePredictions(
        step=step,
        targets=targets,
        losses=np.ones(len(targets), np.float32),
        top_classes=predicted[:, None],
        top_confidences=confidences,
    )
    write_predictions(folder, made)
    kept = len(targets) if images is None else images
    if kept:
        noise = np.random.default_rng(pixels).integers(0, 256, (len(targets), 3, 32, 32), dtype=np.uint8)
        split = ImageSplit(images=torch.from_numpy(noise[:kept]), targets=torch.from_numpy(targets[:kept]))
        write_samples(folder, split)
    right = predicted == targets
    return Evaluated(
        step=step,
        final=False,
        correct=int(right.sum()),
        total=len(targets),
        loss=1.0,
        per_class=tuple(
            ClassAccuracy(name=name, correct=int(right[targets == k].sum()), total=int((targets == k).sum()))
            for k, name in enumerate(names)
        ),
    )
