"""What is computed once for all steps of a result: on a GPU each call takes as long as one of a step."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cifar_tui.engine.steps import eager
from cifar_tui.engine.steps.cuda_graph import STEPS_PER_GRAPH, CudaGraphSteps
from cifar_tui.engine.steps.eager import EagerSteps
from tests.engine.made_training import make_parts

pytestmark = pytest.mark.usefixtures("one_thread")


class Counted(TorchDispatchMode):
    """Counts the operations of a block by name."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.calls[operation.overloadpacket.__name__] += 1
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", [EagerSteps, CudaGraphSteps])
def test_losses_and_right_answers_are_collected_once_for_all_steps(noise_dataset, monkeypatch, kind):
    monkeypatch.setattr(eager, "_RESULT_SECONDS", 60.0)
    parts = make_parts(noise_dataset.train)
    order = torch.arange(parts.config.batch_size * STEPS_PER_GRAPH)
    with Counted() as counted:
        (result,) = kind(parts).run(order, step=0, max_steps=lambda: STEPS_PER_GRAPH)
    assert len(result.losses) == STEPS_PER_GRAPH
    assert counted.calls["convolution"] == 2 * STEPS_PER_GRAPH
    assert (counted.calls["argmax"], counted.calls["stack"]) == (1, 1)
