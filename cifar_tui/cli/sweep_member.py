"""Train one run of a sweep: `python -m cifar_tui.cli.sweep_member FOLDER NUMBER [CORE ...]`.

The program that `cifar-tui sweep` starts for each of its runs, on these CPU cores or all. A run that was
interrupted is resumed from its last checkpoint; without one it starts again.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cifar_tui.cli.output import print_message
from cifar_tui.engine.disk.regular import is_regular
from cifar_tui.engine.errors import UserError
from cifar_tui.engine.layout import LAST_FILE
from cifar_tui.runs.disk.membership import Membership
from cifar_tui.runs.listing import delete_run
from cifar_tui.runs.resume_config import config_to_resume
from cifar_tui.runs.sweep.store import member_folders, read_plan
from cifar_tui.terminal.standard_streams import prepare_standard_streams, read_file_names_as_utf_8
from cifar_tui.terminal.supervisor import ParentLink


def member_command(folder: Path, number: int, cores: Sequence[int]) -> list[str]:
    """Return the command that trains run `number` of the sweep in `folder`, on some CPU cores or all."""
    words = [str(folder.absolute()), str(number), *map(str, cores)]
    return [sys.executable, "-m", "cifar_tui.cli.sweep_member", *words]


def train_member(folder: Path, number: int, cores: Sequence[int]) -> int:
    """Train run `number` of the sweep in `folder` and return the exit code."""
    if cores and hasattr(os, "sched_setaffinity"):  # how many threads to use follows from it
        os.sched_setaffinity(0, cores)
    try:
        return _train(folder, number)
    except UserError as error:
        print_message(f"cifar-tui: {error}")
        return error.exit_code


def _train(folder: Path, number: int) -> int:
    from cifar_tui.cli.headless import train_headless

    checkpoints = folder.parent.parent
    plan = read_plan(folder)
    run = member_folders(checkpoints, plan.name, {}).get(number)
    if run is not None and not is_regular(run / LAST_FILE):
        delete_run(run)  # so that it is in the sweep once
        run = None
    return train_headless(
        plan.config(number) if run is None else config_to_resume(run),
        checkpoints=checkpoints,
        as_json=False,
        resume=run,
        name=plan.run_name(number) if run is None else "",
        membership=Membership(sweep=plan.name, number=number),
        parent=ParentLink(descriptor=-1, write_to=-1),  # nobody waits; once it has a log, it prints there
    )


def _main(words: Sequence[str]) -> int:
    prepare_standard_streams()
    read_file_names_as_utf_8()
    folder, number, *cores = words
    return train_member(Path(folder), int(number), list(map(int, cores)))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
