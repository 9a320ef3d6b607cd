"""Processes of one run tell each other what they know."""

import os
import signal

import pytest
import torch
from torch import distributed

from cifar_tui.engine.distributed.launch import MEETING_CANCELLED, Launch, launched
from cifar_tui.engine.distributed.ranks import ALONE, joined
from cifar_tui.engine.errors import CancelledError, RunFailedError
from tests.cli.command import wait_until
from tests.ranks import LOST, run_ranks

CPU = torch.device("cpu")


def exchange():
    with joined(launched()) as ranks:
        ranks.begin(CPU, timeout_minutes=1)
        rank = ranks.rank
        return {
            "shared": ranks.share({"weights": torch.arange(3), "rank": rank}),
            "highest": ranks.highest([rank, -rank]),
            "sum": ranks.add(torch.tensor([rank, 1.0])),
            "collected": ranks.collect(torch.full((rank, 2), rank)),
            "first": ranks.is_first,
        }


def test_every_process_learns_what_the_others_know():
    results = run_ranks(3, exchange)
    assert [result["first"] for result in results] == [True, False, False]
    for result in results:
        assert result["shared"]["weights"].tolist() == [0, 1, 2]
        assert result["shared"]["rank"] == 0, "what the first has"
        assert result["highest"] == [2, 0]
        assert result["sum"].tolist() == [3.0, 3.0]
        assert [part.tolist() for part in result["collected"]] == [[], [[1, 1]], [[2, 2], [2, 2]]]


def test_alone_there_is_nobody_to_wait_for():
    tensor = torch.ones(2)
    assert ALONE.share(5) == 5
    assert ALONE.highest([3, 1]) == [3, 1]
    assert ALONE.add(tensor) is tensor
    assert ALONE.collect(tensor)[0] is tensor
    with joined(None) as ranks:
        assert ranks is ALONE


def lose_the_second():
    with joined(launched()) as ranks:
        ranks.begin(CPU, timeout_minutes=1)
        if not ranks.is_first:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            ranks.wait_for_all()
        except RunFailedError as error:
            return str(error)


def test_a_process_that_is_lost_is_said_in_a_sentence():
    sentence, lost = run_ranks(2, lose_the_second)
    assert lost == LOST
    assert sentence.startswith("rank 0 lost rank 1 (")
    assert sentence.endswith("); resume from the last checkpoint")
    assert "\n" not in sentence


def wait_for_one_that_left():
    if launched().rank:
        return None
    MEETING_CANCELLED.set()
    with pytest.raises(CancelledError), joined(launched()):
        pass
    return "stopped"


def test_a_process_stops_although_another_one_never_comes():
    assert run_ranks(2, wait_for_one_that_left) == ["stopped", None]


def wait_in_vain(done):
    """The errors of sums under way at once, as DDP has them, which the second process takes no part in."""
    with joined(launched()) as ranks:
        ranks.begin(CPU, timeout_minutes=0.05)
        if not ranks.is_first:
            wait_until(done.exists)
            return []
        sums = [distributed.all_reduce(torch.ones(1), group=ranks.group, async_op=True) for _ in range(4)]
        sentences = []
        for pending in sums:
            with pytest.raises(RunFailedError) as lost, ranks.explained():
                pending.wait()
            sentences.append(str(lost.value))
        done.touch()
        return sentences


def test_every_sum_that_a_silent_process_fails_is_said_in_a_sentence(tmp_path):
    sentences, _ = run_ranks(2, wait_in_vain, tmp_path / "done")
    assert len(sentences) == 4
    for sentence in sentences:
        assert sentence.startswith("rank 0 lost rank 1 (")
        assert sentence.endswith("); resume from the last checkpoint")


def test_the_place_in_a_job_is_what_torchrun_says(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched() is None
    for name, value in {
        "RANK": 3,
        "WORLD_SIZE": 8,
        "LOCAL_RANK": 1,
        "LOCAL_WORLD_SIZE": 2,
        "TORCHELASTIC_RUN_ID": "job",
        "TORCHELASTIC_RESTART_COUNT": 2,
    }.items():
        monkeypatch.setenv(name, str(value))
    assert launched() == Launch(rank=3, size=8, local_rank=1, local_size=2, job="job", restarts=2)
