"""What several tests of the engine need."""

import pytest

from cifar_tui.engine.device.select import intra_op_threads


@pytest.fixture
def one_thread():
    """One intra-op thread, as a session trains with tiny batches: other numbers round sums differently."""
    with intra_op_threads(1):
        yield
