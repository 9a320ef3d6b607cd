"""Thins the points of a long run for its event log, without losing a spike."""

from cifar_tui.engine.events import LossPoint

POINTS_PER_LEVEL = 10_000
"""So many points are kept as they are; of the next twice as many every two become one, and so on."""


class PointThinner:
    """Merges neighbouring points, the more the longer the run is: memory and disk grow with its logarithm."""

    def __init__(self) -> None:
        self._waiting: LossPoint | None = None
        self._merged = 0
        self._steps_per_point = 0

    def take(self, point: LossPoint) -> LossPoint | None:
        """Take in the next point; what is to be logged now, if anything."""
        self._steps_per_point = max(self._steps_per_point, point.steps)
        self._waiting = point if self._waiting is None else _merge(self._waiting, point)
        self._merged += 1
        ordinal = point.step // self._steps_per_point
        if self._merged < 1 << (ordinal // POINTS_PER_LEVEL + 1).bit_length() - 1:
            return None
        return self.rest()

    def rest(self) -> LossPoint | None:
        """What still waits to be merged with later points; it waits no longer."""
        rest, self._waiting, self._merged = self._waiting, None, 0
        return rest


def _merge(first: LossPoint, second: LossPoint) -> LossPoint:
    steps, images = first.steps + second.steps, first.images + second.images
    return LossPoint(
        time=second.time,
        step=second.step,
        steps=steps,
        epoch=second.epoch,
        batch=second.batch,
        loss=(first.loss * first.steps + second.loss * second.steps) / steps,
        loss_min=min(first.loss_min, second.loss_min),
        loss_max=max(first.loss_max, second.loss_max),
        accuracy=(first.accuracy * first.images + second.accuracy * second.images) / images,
        learning_rate=second.learning_rate,
        images=images,
        train_seconds=second.train_seconds,
    )
