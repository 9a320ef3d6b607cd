"""Loss points of a made-up training."""

from cifar_tui.engine.events import LossPoint


def loss_points(*losses, steps=10, images=40, seconds=None):
    """One point every `steps` steps, with the given losses; `seconds` of training default to 1, 2, 3, …."""
    return [
        LossPoint(
            step=steps * number,
            steps=steps,
            epoch=1,
            batch=steps * number,
            loss=loss,
            accuracy=0.5,
            learning_rate=0.001,
            images=images,
            train_seconds=seconds[number - 1] if seconds else float(number),
        )
        for number, loss in enumerate(losses, start=1)
    ]
