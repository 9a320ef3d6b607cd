"""What of this machine each worker of a sweep gets."""

import os

from cifar_tui.runs.sweep.plan import SweepPlan
from cifar_tui.runs.sweep.processes import GPUS_VARIABLE, Share, divide_cores


def shares_of_machine(plan: SweepPlan, workers: int) -> list[Share]:
    """Divide this machine among `workers`; 0 for one a GPU, or a single one without GPUs.

    Of more workers than GPUs, several share one. On the CPU each worker has its own cores, whose number
    decides how many threads a run uses.
    """
    devices = {config.device for config in plan.configs}
    gpus = visible_gpus() if devices <= {"auto", "cuda"} else []
    count = workers or len(gpus) or 1
    if gpus:
        return [Share(gpu=gpus[worker % len(gpus)]) for worker in range(count)]
    if devices <= {"auto", "cpu"} and hasattr(os, "sched_getaffinity") and count > 1:
        return [Share(cores=cores) for cores in divide_cores(sorted(os.sched_getaffinity(0)), count)]
    return [Share()] * count


def visible_gpus() -> list[str]:
    """Return the CUDA devices that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    A batch system such as Slurm sets it to the GPUs of the job. Of slices of GPUs (MIG) a process sees only
    the first, but each run can have its own. Source:
    https://docs.nvidia.com/datacenter/tesla/mig-user-guide/mig-device-names.html#cuda-device-enumeration
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get(GPUS_VARIABLE, "").split(",") if name.strip()]
    if count and named and all(name.startswith("MIG-") for name in named):
        return named
    return named[:count] if named else list(map(str, range(count)))
