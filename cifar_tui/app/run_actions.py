"""The app's actions that open other runs and resume them, beside the run of this process."""

import contextlib
from typing import TYPE_CHECKING

from cifar_tui.app.launch import Attach, Launch, Resume
from cifar_tui.app.view_actions import ViewActions
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.errors import ConfigError, UserError
from cifar_tui.engine.text import cut
from cifar_tui.runs.disk.config import read_run_config
from cifar_tui.runs.disk.run_lock import owner_of
from cifar_tui.runs.disk.store import find_run_to_attach, label_of
from cifar_tui.runs.nearest import NearestFinder, NearestSearch
from cifar_tui.runs.resume_config import ResumePlan, config_to_resume, plan_resume
from cifar_tui.runs.source import RunSource

if TYPE_CHECKING:
    from pathlib import Path

    from cifar_tui.app.views.runs import RunChoice
    from cifar_tui.runs.live import LiveRun

_LONGEST_LABEL = 28


class RunActions(ViewActions):
    """An app with a run of its own, which may train while another run is shown.

    Attributes:
        own_run: the run of this process; None if there is none.
        checkpoints: the folder that holds the runs.
        finder: finds the training images that are nearest to test images.
    """

    def __init__(self, checkpoints: "Path") -> None:
        super().__init__()
        self.own_run: LiveRun | None = None
        self.checkpoints = checkpoints
        self.finder = NearestFinder(checkpoints)

    def start(self, launch: Launch) -> None:
        """Show the run that `launch` describes and start its work."""
        raise NotImplementedError

    def show_own_run(self) -> None:
        """Show the run of this process again."""
        raise NotImplementedError

    @property
    def own_live(self) -> bool:
        """Whether this process works on a run, shown or not."""
        return self.own_run is not None and self.own_run.live

    @property
    def viewing(self) -> bool:
        """Whether another run is shown read-only, with the run of this process behind it."""
        return self.own_run is not None and self.presenter.run is not self.own_run

    def form_epochs(self) -> int:
        """Return the epochs in the form; 0 while they are no number."""
        text = self.dashboard.settings.text("epochs").strip()
        return int(text) if text.isdecimal() else 0

    def notify_error(self, text: str) -> None:
        """Show an error for a while."""
        self.notify(text, severity="error", timeout=15)

    def notify_busy(self) -> None:
        """Say that this process works on a run already."""
        advice = "Go back to it (esc) and stop it (s)" if self.viewing else "Stop it (s) or detach (d)"
        self.notify(f"A run is active. {advice} first.", severity="warning")

    def tell_of_active_run(self) -> None:
        """Say which run is active in the background; on a thread, because it looks at all runs."""
        with contextlib.suppress(ConfigError):  # there are no runs
            folder = find_run_to_attach(self.checkpoints)
            if owner_of(folder).live:
                text = f"Run {label_of(folder)} is active in the background. Press r to list and open it."
                self.call_from_thread(self.notify, text, timeout=10)

    def _why_busy(self) -> str:
        """Say in the list of runs that this process works on a run already; "" if it does not."""
        return "A run is active. Go back to it (esc) and stop it (s) first." if self.own_live else ""

    def action_explain_read_only(self) -> None:
        """Say why a key that steers a run does nothing."""
        self.notify("Viewing another run: press esc to go back first.", severity="warning")

    def action_runs(self) -> None:
        from cifar_tui.app.views.results import ResultsScreen
        from cifar_tui.app.views.runs import RunsScreen

        if isinstance(self.screen, ResultsScreen):
            self.pop_screen()
        if self.screen is not self.dashboard:  # the palette can be opened over the list
            return

        screen = RunsScreen(self.checkpoints, form_epochs=self.form_epochs(), why_busy=self._why_busy)
        self.push_screen(screen, self._on_run_chosen)

    def action_results(self) -> None:
        if self.screen is not self.dashboard:  # the palette can be opened over the list
            return
        from cifar_tui.app.views.results import ResultsScreen

        screen = ResultsScreen(lambda: self.presenter.run, label_of_run, self.size, self._nearest_search)
        self.push_screen(screen)

    def _nearest_search(self, run: RunSource) -> NearestSearch:
        """Return what finds the training images nearest to test images of `run`."""
        return NearestSearch(self.finder, run, is_training=lambda: self.own_live or run.live)

    def _on_run_chosen(self, choice: "RunChoice | None") -> None:
        if choice is None:
            return
        own = self.own_run
        if own is not None and own.folder == choice.folder and choice.action == "open":
            self.show_own_run()
        elif choice.action == "open":
            self.start(Attach(folder=choice.folder, config=TrainConfig()))
        elif self.own_live:
            self.notify_busy()
        else:
            try:
                config = read_run_config(choice.folder)
                if choice.epochs is not None:
                    config = config.replace(epochs=choice.epochs)
                config = config_to_resume(choice.folder, config)
            except UserError as error:
                self.notify_error(str(error))
            else:
                self.start(Resume(folder=choice.folder, config=config))

    def action_back_to_own_run(self) -> None:
        """Leave a run that is shown read-only."""
        if self.viewing:
            self.show_own_run()

    def action_resume_run(self) -> None:
        """Resume the shown run with what may change of the form; ask if not all of it may."""
        run, form = self.presenter.run, self.dashboard.settings.read()
        if run is None or run.folder is None:
            return
        if form is None:
            self.dashboard.show_pane("settings")  # which says at the field what is wrong
            return
        try:
            plan = plan_resume(run.folder, form)
        except UserError as error:
            self.notify_error(str(error))
            return
        if not plan.kept:
            self._resume(run.folder, plan)
            return
        from cifar_tui.app.dialogs.run_questions import ResumeDialog

        folder = run.folder

        def on_answer(answer: str | None) -> None:
            if answer == "resume":
                self._resume(folder, plan)

        self.push_screen(ResumeDialog(label_of_run(run), plan), on_answer)

    def action_range_test(self) -> None:
        """Test learning rates with the settings in the form, which can take the suggestion."""
        if self.screen is self.dashboard:
            self.dashboard.settings.after_typing(self._range_test)

    def _range_test(self) -> None:
        if self.own_live or self.screen is not self.dashboard:  # the key was pressed twice
            return
        config = self.dashboard.settings.read()
        if config is None:
            self.dashboard.show_pane("settings")  # which says at the field what is wrong
            return
        from cifar_tui.app.dialogs.range_test import RangeTestDialog
        from cifar_tui.engine.optim.lr_range import LrRange, LrSuggestion, default_steps
        from cifar_tui.runs.range_test import LiveRangeTest

        def take(suggestion: LrSuggestion | None) -> None:
            if suggestion is None:
                return
            for name, rate in suggestion.settings(config).items():
                self.dashboard.settings.set(name, rate)
            self.dashboard.find_setting("learning_rate")

        lr_range = LrRange(steps=default_steps(config.batch_size))
        self.push_screen(RangeTestDialog(LiveRangeTest(config, lr_range)), take)

    def _resume(self, folder: "Path", plan: ResumePlan) -> None:
        self.start(Resume(folder=folder, config=plan.config))
        if plan.changed:
            self.notify(f"Resuming with {plan.changes}")


def label_of_run(run: RunSource) -> str:
    """Return what the user calls `run`: its name, or its ID without one."""
    label = run.name or (run.folder.name if run.folder is not None else "")
    return cut(label, _LONGEST_LABEL) or "the new run"
