"""The learning-rate range test: train while the learning rate rises, and save nothing.

Source: Smith, https://arxiv.org/abs/1506.01186, section 3.3.
"""

import math
from collections.abc import Callable, Iterator

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import validation_split
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device
from cifar_tui.engine.device.memory import out_of_memory_explained
from cifar_tui.engine.device.select import describe_device, intra_op_threads, training_threads
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import Event, Phase, PhaseChanged, TrainingStarted
from cifar_tui.engine.optim.lr_range import LrRange, RangePoint, SmoothedLoss
from cifar_tui.engine.steps.eager import EagerSteps
from cifar_tui.engine.steps.select import eager
from cifar_tui.engine.training.batches import epoch_sampler, epoch_size
from cifar_tui.engine.training.build import TrainingSetup, training_arithmetic
from cifar_tui.engine.training.loading import moved
from cifar_tui.engine.training.metrics import Stopwatch
from cifar_tui.engine.training.run_parts import RunParts


class RangeTestSession(RunParts):
    """A range test in the calling thread, on the images and the net that a run would train.

    Args:
        config: the settings of the run; schedule, warm-up and averaging do not apply.
        emit: takes every event; it must not block.
        control: whose request to stop cancels the test.
    """

    def __init__(self, *, config: TrainConfig, emit: Callable[[Event], None], control: RunControl) -> None:
        changed = config.replace(backend="eager", compile="no", weight_averaging="none")
        super().__init__(config=changed, emit=emit, control=control)

    def test(self, lr_range: LrRange, report: Callable[[RangePoint, float], None]) -> None:
        """Load, build, and `report` each step of the test (see `range_points`), with the seconds so far.

        Raises:
            UserError: any error the user can fix; one sentence.
            CancelledError: a stop was requested.
        """
        config = self.config
        with self._own_device(config.device) as device:
            check_device(config, device)
            check_compiler_cache()
            self._model.load(None)
            dataset = self._load_data(config)
            split, _ = validation_split(dataset, config.val_size, seed=config.seed)
            (train,) = moved([split], device, self._log)
            advice = f"lower batch_size (now {config.batch_size:,}), or choose another device"
            with (
                out_of_memory_explained(device, advice),
                intra_op_threads(training_threads(device, config.batch_size)),
            ):
                choice = eager("the learning rate rises with every step")
                setup = self._build(config, choice, train)
                self._emit(
                    TrainingStarted(
                        run="",
                        device=describe_device(device),
                        steps_per_epoch=epoch_size(setup.net, len(train), config.batch_size).steps,
                        total_steps=lr_range.steps,
                        backend=choice.backend.label,
                    )
                )
                self._emit(PhaseChanged(phase=Phase.TRAINING))
                clock = Stopwatch()
                clock.start()
                with training_arithmetic(config, setup.precision, device), self._model.running():
                    for point in range_points(setup, config, lr_range):
                        report(point, clock.seconds)
                        if self.control.stop_requested:
                            raise CancelledError


def range_points(setup: TrainingSetup, config: TrainConfig, lr_range: LrRange) -> Iterator[RangePoint]:
    """Train with eager steps, each with the next rate of `lr_range`; all groups keep their proportions.

    Ends early where the loss is not finite or the smoothed one has diverged, with that step as the last.

    Args:
        setup: freshly built from `config`, with eager steps.
        config: the settings.
        lr_range: the learning rates.
    """
    runner = setup.runner
    if not isinstance(runner, EagerSteps):
        raise TypeError("only eager steps take another learning rate at every step")
    runner.lr_factor = lambda step: lr_range.rate(step) / config.learning_rate
    draw_order = epoch_sampler(config.sampler, setup.train.targets)
    images = epoch_size(setup.net, len(setup.train), config.batch_size).images
    smoothed = SmoothedLoss(lr_range.steps)
    step = 0
    while True:
        for result in runner.run(draw_order()[:images], step=step, max_steps=lambda: 1):
            loss = float(result.losses)
            mean = smoothed.add(loss)
            learning_rate = config.learning_rate * runner.lr_factor(step)
            step += 1
            yield RangePoint(step=step, learning_rate=learning_rate, loss=loss, smoothed=mean)
            if step == lr_range.steps or not math.isfinite(loss) or smoothed.diverged(mean):
                return
