"""`CifarApp` owns the run, the keys, quitting and signals."""

import asyncio
import dataclasses
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.command import CommandPalette
from textual.reactive import Reactive

from cifar_tui.app.availability import is_enabled
from cifar_tui.app.commands import COMMANDS, PANES, bindings
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.app.driver import JobDriver
from cifar_tui.app.exit_message import exit_message
from cifar_tui.app.pacer import LOOK_SECONDS
from cifar_tui.app.presenter import RunPresenter
from cifar_tui.app.view_actions import ViewActions
from cifar_tui.app.views.train import Dashboard
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.events import Alert, Phase
from cifar_tui.engine.layout import LOG_FILE
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.resume import config_to_resume
from cifar_tui.runs.source import RunSource
from cifar_tui.terminal.native_output import redirect_native_output
from cifar_tui.terminal.supervisor import SIGNAL_DEBOUNCE_SECONDS

if TYPE_CHECKING:
    from cifar_tui.app.views.runs import RunChoice

_DATA_UNAVAILABLE = 3
_INTERRUPTED = 128 + signal.SIGINT
_ON_THE_WAY = {Phase.TRAINING, Phase.SAVING}
"""To a pause."""


class CifarApp(ViewActions):
    """The dashboard as a program.

    Args:
        config: what the form starts with.
        checkpoints: the folder in which runs are kept.
        start: whether to train at once.
        weights: weights to evaluate at once.
        resume: the folder of a run to go on with at once.
        attach: the folder of a run to follow at once.
    """

    TITLE = "cifar-tui"
    CSS_PATH: ClassVar = [
        "app.tcss",
        "widgets/pane.tcss",
        *(f"panes/{name}/pane.tcss" for name in PANES),
        "views/train.tcss",
        "views/runs.tcss",
    ]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    theme = Reactive("tokyo-night")
    """Given here, for a theme that is set later has all styles made anew before the first frame."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        checkpoints: Path,
        start: bool = False,
        weights: Path | None = None,
        resume: Path | None = None,
        attach: Path | None = None,
    ) -> None:
        super().__init__(driver_class=JobDriver)
        self._config = config
        self._checkpoints = checkpoints
        self._start = start
        self._weights = weights
        self._resume_at_start = resume
        self._attach_at_start = attach
        self._run: RunSource | None = None
        self._view = RunPresenter(self)
        self._available: frozenset[str] | None = None
        self.polled_at = time.monotonic()
        self.detached = False
        self.left_at_once = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handled_end = True
        self._leaving = False
        self._suspended_run: LiveRun | None = None
        self._shown_alert: Alert | None = None
        self._signal = 0
        self._signalled_at = 0.0
        self._failure = 0
        self._evaluated_file: Path | None = None

    def get_default_screen(self) -> Dashboard:
        """The dashboard; torch is imported only once a run starts, in its thread."""
        return Dashboard(self._config, self.size)

    def on_mount(self) -> None:
        """Begin to look at the run, and start the one that was asked for."""
        self.set_interval(LOOK_SECONDS, self._poll)
        self._loop = asyncio.get_running_loop()
        # the shell wrote on the screen meanwhile
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        if self.detached:  # the terminal was gone before there was anything to leave
            self.exit(0)
            return
        if self._resume_at_start is not None:
            self.call_after_refresh(self._resume, self._resume_at_start, self._config)
        elif self._attach_at_start is not None:
            self.call_after_refresh(self._open_run, self._attach_at_start)
        elif self._start:
            self.call_after_refresh(self.action_train)
        elif self._weights is not None:
            self.call_after_refresh(self._start_evaluation, self._weights, self._config)
        self.call_after_refresh(self.import_other_screens)

    @property
    def live(self) -> bool:
        """Whether somebody works on the run that is shown."""
        return self._run is not None and self._run.live

    def exit_message(self) -> str:
        """What the terminal shows when the screen is gone."""
        return exit_message(self._run, self._checkpoints, detached=self.detached)

    @property
    def own_run(self) -> LiveRun | None:
        """The run of this process, if it is shown one."""
        return self._run if isinstance(self._run, LiveRun) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done now."""
        del parameters
        return is_enabled(action, self._run)

    def action_train(self) -> None:
        """Train with the settings in the form."""
        if self.live:
            return
        config = self.dashboard.settings.read()
        if config is None:
            self.dashboard.show_pane("settings")
            self.notify("A setting is wrong: see the field that is marked.", severity="error")
            return
        self._evaluated_file = None
        run = LiveRun(config, checkpoints=self._checkpoints, on_folder=_redirect_native_output)
        self._follow(run)
        run.start_training()
        self.dashboard.show_pane("training")

    def _start_evaluation(self, weights: Path, config: TrainConfig) -> None:
        self._evaluated_file = weights
        run = LiveRun(config, checkpoints=self._checkpoints)
        self._follow(run)
        run.start_evaluation(weights)
        self.dashboard.show_pane("summary")

    def _open_run(self, folder: Path) -> None:
        """Show the run in `folder`, whoever owns it."""
        try:
            run = AttachedRun(folder)
        except UserError as error:
            self.notify(str(error), severity="error", timeout=15, markup=False)
            return
        self._follow(run, tell_away=True)
        self.dashboard.settings.show(run.config)
        run.start()
        self.dashboard.show_pane("training")

    def _resume(self, folder: Path, config: TrainConfig) -> None:
        """Go on with the run in `folder` in this process."""
        self._evaluated_file = None
        run = LiveRun(config, checkpoints=self._checkpoints, on_folder=_redirect_native_output, resume=folder)
        self._follow(run)
        self.dashboard.settings.show(config)
        run.start_training()
        self.dashboard.show_pane("training")

    def _follow(self, run: RunSource, *, tell_away: bool = False) -> None:
        if isinstance(self._run, AttachedRun):
            self._run.close()
        self._run = run
        self._handled_end = False
        self._failure = 0
        self._view.follow(run, tell_away=tell_away)

    def action_resume_run(self) -> None:
        """Go on with the run that is shown."""
        if self._run is not None and self._run.folder is not None and not self.live:
            self._resume_or_explain(self._run.folder)

    def _resume_or_explain(self, folder: Path) -> None:
        try:
            config = config_to_resume(folder)
        except UserError as error:
            self.notify(str(error), severity="error", timeout=15, markup=False)
            return
        self._resume(folder, config)

    def action_runs(self) -> None:
        """Show all runs."""
        from cifar_tui.app.views.runs import RunsScreen

        self.push_screen(RunsScreen(self._checkpoints), self._on_run_chosen)

    def _on_run_chosen(self, choice: "RunChoice | None") -> None:
        if choice is None:
            return
        if self.own_run is not None and self.live:
            self.notify(
                "A run is live here: stop it with s or detach from it with d first.", severity="warning"
            )
        elif choice.action == "resume":
            self._resume_or_explain(choice.folder)
        else:
            self._open_run(choice.folder)

    def action_detach(self) -> None:
        """Leave the run to itself."""
        if self._run is not None and self.live:
            self._view.mark_seen_now(self._run)
            self.leave_run_to_itself()

    def leave_run_to_itself(self) -> None:
        """Leave the screen; a run of this process goes on without one."""
        self.detached = True
        self.exit(0)

    def action_pause_or_resume(self) -> None:
        """Hold training, or let it go on."""
        if self._run is not None:
            self._view.show_effect_of(partial(self._run.request, Request.TOGGLE_PAUSE))

    def action_save(self) -> None:
        """Ask for a checkpoint."""
        if self._run is not None:
            self._run.request(Request.SAVE)
            self.notify("A checkpoint is written before the next step.")

    def action_stop(self) -> None:
        """Ask the run to save and end."""
        if self._run is not None:
            self._view.show_effect_of(partial(self._run.request, Request.STOP))

    def action_evaluate(self) -> None:
        """Ask for an evaluation."""
        if self._run is not None:
            self._view.show_effect_of(partial(self._run.request, Request.EVALUATE))
            self._handled_end = False

    def action_sample_batch(self, step: int) -> None:
        """Show another batch of test images, and do not wait for its turn."""
        super().action_sample_batch(step)
        if self._run is not None:
            self.dashboard.show_samples(self._run)

    def action_suspend(self) -> None:
        """Back to the shell, where all threads stand still: a training is paused first and goes on after."""
        run = self.own_run
        if run is None or not run.live or run.snapshot().phase is not Phase.TRAINING:
            self.action_suspend_process()
            return
        run.request(Request.PAUSE)
        self._suspended_run = run

    async def action_quit(self) -> None:
        """Leave; ask first while a run is live. In a dialog it is the key of that dialog."""
        match self.screen:
            case Dialog():
                self.screen.leave()
            case CommandPalette():
                self.screen.dismiss()
            case _ if self._leaving:
                # the second time: at once, with the code of an interruption if something is lost by it
                self.left_at_once = True
                self.exit(_INTERRUPTED if self.live else self._exit_code())
            case _ if self.own_run is not None and self.live:
                from cifar_tui.app.dialogs.dialogs import QuitDialog

                dialog = QuitDialog(may_detach=is_enabled("detach", self._run))
                self.push_screen(dialog, self._on_quit_answer)
            case _:
                self.exit(self._exit_code())

    def _on_quit_answer(self, answer: str | None) -> None:
        if answer == "stop":
            self._leave()
        elif answer == "detach":
            self.action_detach()

    def _leave(self) -> None:
        """Stop a run of this process; `_poll` leaves when its thread has returned."""
        self._leaving = True
        if self.own_run is None:
            return
        self.own_run.request(Request.STOP)
        self.notify("Saving and leaving… (ctrl+c leaves at once)", timeout=60)

    def on_signal(self, number: int) -> None:
        """Stop, save and leave with 128 + `number`; at once the second time. In a signal's handler."""
        now = time.monotonic()
        if self._signal and now - self._signalled_at < SIGNAL_DEBOUNCE_SECONDS:
            return
        self.left_at_once = self._signal != 0
        self._signal, self._signalled_at = number, now
        if self.own_run is not None:
            self.own_run.request(Request.STOP)
        if self._loop is not None and self._loop.is_running():
            leave = partial(self.exit, 128 + number) if self.left_at_once else self._leave
            self._loop.call_soon_threadsafe(leave)
        elif self._loop is None or self.left_at_once:
            os._exit(128 + number)

    @property
    def signal_exit_code(self) -> int:
        """128 + the number of the signal that ended the program; 0 where none did."""
        return 128 + self._signal if self._signal else 0

    def on_terminal_lost(self) -> None:
        """Leave the screen, which nobody sees; on any thread."""
        self.detached = True
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self.leave_run_to_itself)

    def _exit_code(self) -> int:
        if self._signal:
            return self.signal_exit_code
        if self.own_run is None or not (self._start or self._weights or self._resume_at_start):
            return 0
        ended = self._run.snapshot().ended if self._run is not None else None
        return self._failure or (ended.exit_code if ended is not None else 0)

    def _poll(self) -> None:
        """Show what changed, and act once on the end of a run."""
        if not self.is_running:  # the screens are being closed while the timers still tick
            return
        self.polled_at = time.monotonic()
        run = self._run
        live = self.live
        if run is not None:
            self._view.show(run)
            alert = run.snapshot().alert
            if alert is not None and alert is not self._shown_alert:
                self._shown_alert = alert
                self.notify(alert.text, severity="warning", timeout=15, markup=False)
            if not live and not self._handled_end:
                self._handled_end = True
                self._on_run_ended(run)
        if self._suspended_run is not None and self._suspended_run.snapshot().phase not in _ON_THE_WAY:
            suspended, self._suspended_run = self._suspended_run, None
            self.action_suspend_process()
            suspended.request(Request.RESUME)
        if self._leaving and not (live and self.own_run is not None):
            self.exit(self._exit_code())
        available = frozenset(command.action for command in COMMANDS if is_enabled(command.action, run))
        if available != self._available:  # the footer is made anew, which costs more than all the rest
            self._available = available
            self.refresh_bindings()

    def _on_run_ended(self, run: RunSource) -> None:
        self.dashboard.show_run(run)
        self.dashboard.show_curves(run)
        ended = run.snapshot().ended
        if ended is not None:
            self._failure = self._failure or ended.exit_code
        if ended is None or ended.exit_code == 0 or self._leaving:
            return
        if ended.exit_code == _DATA_UNAVAILABLE and self.own_run is not None:
            from cifar_tui.app.dialogs.dialogs import DataDialog

            self.push_screen(DataDialog(ended.error, run.config.data), self._on_data_answer)
        else:
            self.notify(ended.error, severity="error", timeout=15, markup=False)

    def _on_data_answer(self, data: str | None) -> None:
        if data is not None:
            self.dashboard.settings.set("data", data)
            if self._evaluated_file is not None and self._run is not None:
                config = dataclasses.replace(self._run.config, data=data)
                self._start_evaluation(self._evaluated_file, config)
            else:
                self.action_train()


def _redirect_native_output(folder: Path) -> None:
    redirect_native_output(folder / LOG_FILE)
