"""What several tests of the engine need."""

import pytest
import torch

from cifar_tui.engine.device.select import intra_op_threads
from cifar_tui.engine.steps import cuda_graph
from tests.engine.made_session import Run


@pytest.fixture(autouse=True)
def _graphs_can_be_recorded(monkeypatch):
    """What failed in one test does not keep the next from trying."""
    monkeypatch.setattr(cuda_graph, "_FAILURES", [])


@pytest.fixture
def one_thread():
    """One intra-op thread, as a session trains with tiny batches: other numbers round sums differently."""
    with intra_op_threads(1):
        yield


@pytest.fixture
def resumable(tmp_path, image_folder):
    """A recipe, and the state of its run after an epoch."""
    recipe = {"model": "airbench-tiny", "translate": 1, "learning_rate": 0.01, "batch_size": 8}
    Run(tmp_path, data=image_folder, epochs=1, **recipe).train()
    return recipe, torch.load(tmp_path / "run" / "last.pt", weights_only=True)
