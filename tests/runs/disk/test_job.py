"""The run of a job is found by the job's name."""

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.distributed.launch import Launch
from cifar_tui.runs.disk.job import run_of_job, write_job
from cifar_tui.runs.disk.store import create_run_folder
from tests.runs.made_events import STARTED, record


def test_the_latest_run_of_a_job_is_found_once_it_has_a_log_to_attach_to(tmp_path):
    launch = Launch(rank=0, size=2, local_rank=0, local_size=2, job="mine", restarts=0)
    folders = [create_run_folder(tmp_path, TrainConfig()) for _ in range(3)]
    for folder in folders[:2]:
        write_job(folder, launch)
    assert run_of_job(tmp_path, "mine") is None
    record(folders[0], STARTED)
    record(folders[2], STARTED)
    assert run_of_job(tmp_path, "mine") == folders[0]
    record(folders[1], STARTED)
    assert run_of_job(tmp_path, "mine") == folders[1]
    write_job(folders[1], None)
    assert run_of_job(tmp_path, "mine") == folders[0]
