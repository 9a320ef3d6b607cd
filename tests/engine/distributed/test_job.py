"""What several processes of a run refuse, and who says so."""

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.device.capabilities import check_device
from cifar_tui.engine.distributed.follow import follow
from cifar_tui.engine.distributed.launch import launched
from cifar_tui.engine.distributed.ranks import joined
from cifar_tui.engine.errors import CancelledError, ConfigError, DataUnavailableError, UserError
from cifar_tui.engine.steps.select import resolve_backend
from tests.engine.made_session import Run
from tests.ranks import run_ranks

CPU = torch.device("cpu")


def said_by_all(work):
    try:
        work()
    except (UserError, CancelledError) as error:
        return type(error).__name__, str(error)
    return "", ""


def fail_together():
    """What each of three processes raises where some of them fail."""
    seen = []
    with joined(launched()) as ranks:
        for failing, error in (
            ({0, 2}, ConfigError("wrong")),
            ({1, 2}, DataUnavailableError("missing")),
            ({2}, CancelledError()),
            (set(), None),
        ):

            def work(failing=failing, error=error):
                with ranks.together():
                    if ranks.rank in failing:
                        raise error

            seen.append(said_by_all(work))
        seen.append(ranks.in_turn(lambda: ranks.rank * 10))
    return seen


def test_what_fails_in_any_process_fails_in_all_and_the_first_says_why():
    first, second, third = run_ranks(3, fail_together)
    assert first[0] == ("ConfigError", "wrong"), "its own"
    kind, sentence = first[1]
    assert kind == "DataUnavailableError"
    assert sentence.startswith("rank 1 on ")
    assert sentence.endswith(": missing")
    for other in (second, third):
        assert [kind for kind, _ in other[:2]] == ["ReportedError", "ReportedError"]
    for seen in (first, second, third):
        assert seen[2:4] == [("CancelledError", ""), ("", "")]
    assert [seen[4] for seen in (first, second, third)] == [0, 10, 20]


def refusal(folder, images, settings):
    """What a run with these settings raises in this process."""

    def work():
        if launched().rank:
            follow(launched(), RunControl())
        else:
            Run(folder, **{"data": images, **settings}).train()

    return said_by_all(work)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 1}, "batch_size 1 leaves nothing for some of 2 processes; set batch_size to 2"),
        ({"device": "cuda:1"}, "device 'cuda:1' is one device, and 2 processes need one each; set device to"),
        ({"backend": "numba"}, "backend 'numba' is not available: it trains in one process, and there are 2"),
        ({"sync_batchnorm": True}, "sync_batchnorm 'yes' needs CUDA GPUs, and the device is cpu"),
        (
            {"model": "torchvision:resnet18", "batch_size": 2},
            "torchvision:resnet18 does not take a training batch of 1 image of 32×32 pixels, a part of 2",
        ),
        ({"data": "/nothing"}, "no such folder: '/nothing'; "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_several_processes_cannot_follow_is_said_once(tmp_path, image_folder, settings, sentence):
    first, second = run_ranks(2, refusal, tmp_path, image_folder, settings)
    assert first[0] == ("DataUnavailableError" if "data" in settings else "ConfigError")
    assert first[1].startswith(sentence)
    assert second == ("ReportedError", first[1])


def test_several_processes_train_with_eager_steps_whatever_the_run_began_with():
    config = TrainConfig(epochs=1000)
    assert resolve_backend(config, CPU, images=10**7).backend.name == "numba"
    for resumed in (None, "numba 1.0"):
        choice = resolve_backend(config, CPU, images=10**7, resumed=resumed, processes=2)
        assert choice.sentence() == "backend eager: 2 processes train together"


def test_one_process_has_nothing_to_synchronize_but_needs_the_same_device():
    with pytest.raises(ConfigError, match="sync_batchnorm"):
        check_device(TrainConfig(sync_batchnorm=True), CPU)
