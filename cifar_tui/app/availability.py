"""Which commands can be used now: what cannot be done is neither offered nor acted upon."""

from cifar_tui.runs.live import LiveRun
from cifar_tui.runs.source import RunSource


def is_enabled(action: str, run: RunSource | None) -> bool:
    """Whether the app's `action` does something while `run` is shown."""
    if run is None:
        return action not in {"stop", "pause_or_resume", "save", "evaluate", "detach", "resume_run"}
    snapshot, live, has_folder = run.snapshot(), run.live, run.folder is not None
    training = live and snapshot.started is not None and snapshot.finished is None
    match action:
        case "train":
            return not live
        case "stop":
            return live
        case "pause_or_resume" | "save":
            return training
        case "evaluate":
            saved = isinstance(run, LiveRun) and not live and snapshot.checkpoint is not None
            return training or saved
        case "detach":
            return live and has_folder
        case "resume_run":
            return has_folder and not live
        case _:
            return True
