"""`CifarApp`: starts and steers the run, quits, and handles signals."""

import asyncio
import dataclasses
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType
from textual.command import CommandPalette
from textual.reactive import Reactive

from cifar_tui.app.commands import COMMANDS, bindings, is_enabled, notice_of
from cifar_tui.app.dialogs.dialog import Dialog
from cifar_tui.app.launch import Attach, Evaluate, EvaluateRun, Idle, Launch, Resume, Train
from cifar_tui.app.run_actions import RunActions, label_of_run
from cifar_tui.app.theme import remember_theme, remembered_theme, theme_file
from cifar_tui.app.views.train import Dashboard
from cifar_tui.engine.errors import DataUnavailableError, UserError
from cifar_tui.engine.events import Alert, Phase
from cifar_tui.runs.attached import AttachedRun
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.source import RunSource
from cifar_tui.terminal.signals import StopSignals

POLL_SECONDS = 0.2
_INTERRUPTED = 128 + signal.SIGINT


class CifarApp(RunActions):
    """The dashboard as a program.

    Args:
        launch: what to open with.
        checkpoints: the folder that holds the runs.
        on_folder: called with the folder of a run that this process trains, in the run's thread.

    Attributes:
        polled_at: when the event loop last responded, in `time.monotonic` seconds.
        detached: whether the run of this process continues without the screen.
        left_at_once: whether to exit without waiting for the run to save.
    """

    TITLE = "cifar-tui"
    CSS_PATH: ClassVar = [
        "app.tcss",
        "views/paned.tcss",
        "views/train.tcss",
        "views/runs.tcss",
        "views/results.tcss",
        "views/compare.tcss",
    ]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    theme: Reactive[str] = Reactive(
        remembered_theme
    )  # a theme set later would rebuild all styles before the first frame

    def __init__(
        self, launch: Launch, *, checkpoints: Path, on_folder: Callable[[Path], None] | None = None
    ) -> None:
        super().__init__(checkpoints)
        self._on_folder = on_folder
        self._launch = self._own_launch = launch
        self._enabled: frozenset[str] | None = None
        self.polled_at = time.monotonic()
        self.detached = False
        self.left_at_once = False
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._end_handled = True
        self._own_end_told = False
        self._leaving = False
        self._suspended_run: LiveRun | None = None
        self._shown_alerts: set[Alert] = set()
        self._signals = StopSignals()
        self._failure = 0
        self._attempts = 0
        self._remembered_theme = self.theme

    def get_default_screen(self) -> Dashboard:
        return Dashboard(self._launch.config, self.size, idle=isinstance(self._launch, Idle))

    def on_mount(self) -> None:
        self.set_interval(POLL_SECONDS, self._poll)
        self.presenter.start()
        self._event_loop = asyncio.get_running_loop()
        # the shell has drawn on the screen meanwhile
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        if self.detached:  # the terminal was gone before the first frame
            self.exit(0)
            return
        self.call_after_refresh(self.start, self._launch)
        self.call_after_refresh(self.import_other_screens)

    def on_unmount(self) -> None:
        self.presenter.close()

    @property
    def live(self) -> bool:
        """Whether some process works on the shown run."""
        return self.presenter.run is not None and self.presenter.run.live

    def watch_theme(self, theme: str) -> None:
        """Remember the theme for the next start."""
        if theme == self._remembered_theme:
            return
        self._remembered_theme = theme
        try:
            remember_theme(theme)
        except OSError as error:
            self.notify_error(f"cannot save the theme to '{theme_file()}': {error.strerror}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in {"maximise", "show_all_panes"}:
            maximised = self.dashboard.is_maximised
            return self.dashboard.has_room_for_all and maximised == (action == "show_all_panes")
        return is_enabled(
            action, parameters, self.presenter.run, read_only=self.viewing, form_epochs=self.form_epochs
        )

    # Start a run

    def start(self, launch: Launch) -> None:
        if self.own_live and isinstance(launch, Train | Resume | Evaluate | EvaluateRun):
            self.notify_busy()
            return
        match launch:
            case Idle():
                self.run_worker(self.tell_of_active_run, thread=True)
                return
            case Attach(folder=folder, recap=recap):
                try:
                    attached = AttachedRun(folder)
                except UserError as error:
                    self.notify_error(str(error))
                    return
                if not self.own_live:
                    self.own_run = None
                # a finished run is opened from the list to look at it, not to come back to it
                recap = recap and self.own_run is None and (launch is self._launch or attached.live)
                self._show(attached, pane="training", recap=recap)
                attached.start()
            case Train() | Resume():
                run = LiveRun(
                    launch.config,
                    checkpoints=self.checkpoints,
                    on_folder=self._on_folder,
                    resume=launch.folder if isinstance(launch, Resume) else None,
                    name=launch.name if isinstance(launch, Train) else "",
                    assume_class_order=isinstance(launch, Resume) and launch.assume_class_order,
                    edited_model=isinstance(launch, Resume) and launch.edited_model,
                )
                self._show_new(run, launch, pane="training")
                run.start_training()
            case Evaluate(weights=weights, assume_class_order=assume, edited_model=edited):
                run = LiveRun(
                    launch.config,
                    checkpoints=self.checkpoints,
                    assume_class_order=assume,
                    edited_model=edited,
                )
                self._show_new(run, launch, pane="summary")
                run.start_evaluation(weights, any_model=launch.any_model, trained_seed=launch.trained_seed)
            case EvaluateRun(folder=folder):
                run = LiveRun(launch.config, checkpoints=self.checkpoints, resume=folder)
                self._show_new(run, launch, pane="summary")
                run.start_run_evaluation()
        self.presenter.show()

    def show_own_run(self) -> None:
        if self.own_run is not None:
            self._show(self.own_run, pane="training")
            self.presenter.show()
            self.presenter.show_curves()

    def _show_new(self, run: LiveRun, launch: Launch, *, pane: str) -> None:
        self.own_run, self._own_launch = run, launch
        self.finder.forget()  # its memory is for the run
        self._own_end_told = False
        self._failure = 0
        self.clear_notifications()  # what they say is of an earlier run
        self._show(run, pane=pane)

    def _show(self, run: RunSource, *, pane: str, recap: bool = False) -> None:
        self._end_handled = False
        self.presenter.follow(run, recap=recap)
        self._poll_own_run()
        self.dashboard.settings.show(run.config)
        self.dashboard.show_pane(pane)

    def action_train(self) -> None:
        if isinstance(self.screen, Dashboard):  # not over a dialog
            self.dashboard.settings.after_typing(self._train)

    def _train(self) -> None:
        if self.live:  # the key was pressed twice
            return
        config = self.dashboard.settings.read()
        if config is None:
            self.dashboard.show_pane("settings")  # which says at the field what is wrong
        else:
            self.start(Train(config=config))

    # Steer it

    def action_request(self, name: str) -> None:
        request, run = Request(name), self.presenter.run
        if request is Request.EVALUATE and isinstance(run, AttachedRun) and not run.live:
            self.start(EvaluateRun(folder=run.folder, config=run.config))
            return
        self._end_handled = False  # an evaluation after the end ends once more
        self.presenter.request(request)
        notice = notice_of(request)
        if notice:
            self.notify(notice)

    def action_toggle_pause(self, name: str) -> None:
        """Pause or resume, whichever the run can by the time it answers; `name` is what the footer said."""
        del name
        self.action_request(Request.TOGGLE_PAUSE)

    def action_detach(self) -> None:
        self.presenter.mark_seen_now()
        self._leave_running()

    def _leave_running(self) -> None:
        """Exit; a run of this process continues without a screen."""
        self.detached = True
        self.exit(0)

    def action_suspend(self) -> None:
        """Suspend the process; pause training first, and resume it afterwards."""
        run = self.own_run
        if run is None or not run.live or run.snapshot().phase is not Phase.TRAINING:
            self.action_suspend_process()
            return
        run.request(Request.PAUSE)
        self._suspended_run = run

    # Quit

    async def action_quit(self) -> None:
        match self.screen:
            case Dialog():
                self.screen.leave()
            case CommandPalette():
                self.screen.dismiss()
            case _ if self._leaving:  # the second time
                self.left_at_once = True
                self.exit(_INTERRUPTED if self.own_live else self._exit_code())
            case _ if self.own_run is not None and self.own_run.live:
                from cifar_tui.app.dialogs.questions import QuitDialog

                phase, folder = self.own_run.snapshot().phase, self.own_run.folder
                if phase in {Phase.DONE, Phase.FAILED}:  # its thread is about to return
                    self._exit_when_stopped()
                    return
                name = label_of_run(self.own_run) if self.viewing else ""
                dialog = QuitDialog(phase, can_detach=folder is not None, name=name)
                self.push_screen(dialog, self._on_quit_answer)
            case _:
                self.exit(self._exit_code())

    def _on_quit_answer(self, answer: str | None) -> None:
        if answer == "stop":
            self._leave()
        elif answer == "detach":
            self.action_detach()

    def _leave(self) -> None:
        """Stop a run of this process; `_poll` exits when its thread has returned."""
        if self.own_run is not None:
            self.own_run.request(Request.STOP)
        self._exit_when_stopped()

    def _exit_when_stopped(self) -> None:
        self._leaving = True
        if self.own_run is not None:
            self.notify("Stopping… (ctrl+c to quit now)", timeout=60)

    def on_signal(self, number: int) -> None:
        """Stop, save and exit with 128 + `number`; exit at once on a second signal. Runs in a handler."""
        is_first = not self._signals.first
        self.left_at_once = self._signals.receive(number) or self.left_at_once
        self.never_resume()
        if is_first and self.own_run is not None:  # another request would give up a save that is retried
            self.own_run.request(Request.STOP)
        if self._event_loop is not None and self._event_loop.is_running():
            if self.left_at_once:
                self._event_loop.call_soon_threadsafe(self.exit, self.signal_exit_code)
            elif is_first:
                self._event_loop.call_soon_threadsafe(self._exit_when_stopped)
        elif self._event_loop is None or self.left_at_once:  # nothing runs yet, or nothing but the run
            os._exit(self.signal_exit_code)

    @property
    def signal_exit_code(self) -> int:
        """128 + the number of the signal that ended the program; 0 without one."""
        return self._signals.exit_code

    @property
    def leaving(self) -> bool:
        """Whether the program exits once its run has stopped."""
        return self._leaving or self.signal_exit_code != 0

    def on_terminal_lost(self) -> None:
        """Exit the screen and keep the run; callable on any thread."""
        self.detached = True
        if self._event_loop is not None and self._event_loop.is_running():
            self._event_loop.call_soon_threadsafe(self._leave_running)

    def _exit_code(self) -> int:
        if self.signal_exit_code:
            return self.signal_exit_code
        if not isinstance(self._launch, Train | Resume | Evaluate):
            return 0
        ended = self.own_run.snapshot().ended if self.own_run is not None else None
        return self._failure or (ended.exit_code if ended is not None else 0)

    # Follow it

    def _poll(self) -> None:
        """Show alerts, handle the end of the run, and update which keys are enabled."""
        if not self.is_running:  # timers still tick while the screens close
            return
        self.polled_at = time.monotonic()
        run, live = self.presenter.run, self.live
        self._poll_own_run()
        if run is not None:
            self._show_alert(run)
            if not live and not self._end_handled:
                self._end_handled = True
                self._on_run_ended(run)
        suspended = self._suspended_run
        if suspended is not None and suspended.snapshot().phase not in {Phase.TRAINING, Phase.SAVING}:
            self._suspended_run = None
            self.action_suspend_process()
            suspended.request(Request.RESUME)
        if self._leaving and not self.own_live:
            self.exit(self._exit_code())
        enabled = frozenset(
            command.call for command in COMMANDS if self.check_action(command.action, command.parameters)
        )
        if enabled != self._enabled:  # rebuilding the footer costs more than the rest
            self._enabled = enabled
            self.refresh_bindings()

    def _poll_own_run(self) -> None:
        """While another run is shown, say which is which, and what happens to the run of this process."""
        run = self.own_run
        self.dashboard.back_to = label_of_run(run) if run is not None and self.viewing else ""
        if run is None or not self.viewing:
            return
        self._show_alert(run)
        if not run.live and not self._own_end_told:
            self._own_end_told = True
            self.notify(f"{label_of_run(run)} has ended. Press esc to see it.", timeout=15)

    def _show_alert(self, run: RunSource) -> None:
        alert = run.snapshot().alert
        if alert is not None and alert not in self._shown_alerts:
            self._shown_alerts.add(alert)
            name = f"{label_of_run(run)}: " if run is self.own_run and self.viewing else ""
            self.notify(f"{name}{alert.text}", severity="warning", timeout=15)

    def _on_run_ended(self, run: RunSource) -> None:
        self.presenter.show()
        self.presenter.show_curves()
        ended = run.snapshot().ended
        if ended is not None and run is self.own_run:
            self._failure = self._failure or ended.exit_code
        if ended is None or ended.exit_code == 0 or self._leaving:
            return
        if ended.exit_code == DataUnavailableError.exit_code and run is self.own_run:
            from cifar_tui.app.dialogs.questions import DataDialog

            self._attempts += 1
            dialog = DataDialog(ended.error, run.config.data, attempt=self._attempts)
            self.push_screen(dialog, self._on_data_answer)
        else:
            self.notify_error(ended.error)

    def _on_data_answer(self, data: str | None) -> None:
        launch = self._own_launch
        if data != launch.config.data:
            self._attempts = 0
        if data is not None:
            self.start(dataclasses.replace(launch, config=launch.config.replace(data=data)))
