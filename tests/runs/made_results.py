"""Made results of an evaluation."""

import numpy as np

from cifar_tui.runs.results import ImagePredictions, Results


def make_results(targets, predicted, *, classes=3, confidences=None, losses=None, step=100, **others):
    """Results of len(targets) images of noise; the second class of each is the one after the predicted."""
    count = len(targets)
    confidences = np.full(count, 0.75) if confidences is None else np.asarray(confidences)
    first = np.asarray(predicted)
    predictions = ImagePredictions(
        step=step,
        targets=np.asarray(targets),
        losses=np.asarray(np.ones(count) if losses is None else losses, np.float32),
        top_classes=np.stack([first, (first + 1) % classes], axis=1),
        top_confidences=np.stack([confidences, 1 - confidences], axis=1).astype(np.float32),
    )
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    names = others.pop("class_names", tuple(f"class {k}" for k in range(classes)))
    return Results(class_names=names, predictions=predictions, images=images, **others)
