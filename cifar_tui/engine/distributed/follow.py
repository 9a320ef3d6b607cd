"""A process of a run that another one owns: it trains, and saves, logs and shows nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.engine.distributed.ranks import joined
from cifar_tui.engine.errors import CancelledError
from cifar_tui.engine.events import ignore_event
from cifar_tui.engine.session import Session

if TYPE_CHECKING:
    from cifar_tui.engine.distributed.job import JobStart


def follow(launch: Launch, control: RunControl, *, begun: Callable[[], None] = lambda: None) -> None:
    """Train with the first process until it ends the run; all that this one needs to know comes from there.

    Args:
        launch: the place of this process.
        control: what is requested of this process.
        begun: called once the first process has begun; until then no request is answered.

    Raises:
        ReportedError: the run failed, and the first process says why.
        UserError: this process failed.
    """
    with joined(launch) as ranks:
        start: JobStart | None = ranks.share(None)
        if start is None:
            raise AssertionError("the first process shares what the run begins with")
        begun()
        session = Session(
            config=TrainConfig(**start.settings),
            emit=ignore_event,
            control=control,
            assume_class_order=start.assume_class_order,
            edited_model=start.edited_model,
        )
        try:
            session.train_with(ranks, start)
        except CancelledError:
            return
