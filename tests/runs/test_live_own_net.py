"""A run of this process with a net of the user's, as the dashboard follows it."""

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import Phase
from cifar_tui.runs.control.protocol import Request
from cifar_tui.runs.live import LiveRun
from tests.engine.models.own.nets import TUTORIAL, write_net


@pytest.fixture
def start(tmp_path, image_folder):
    """Starts a training of a net with this source, and waits for its end."""

    def start(source, **options):
        path = write_net(tmp_path, source)
        config = TrainConfig(
            data=str(image_folder),
            data_dir=str(tmp_path / "data"),
            device="cpu",
            epochs=1,
            model=f"{path}:Net",
        )
        run = LiveRun(config, checkpoints=tmp_path / "checkpoints", **options)
        run.start_training()
        assert run.wait(60)
        return run

    return start


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("import torch\n", "import torch, missing\n", 2),
        ("return self.fc3(x)", "raise RuntimeError('no')", 23),
        ("return self.fc3(x)", "return self.fc3(x), x", 17),
    ],
)
def test_a_mistake_ends_it_with_the_users_line_and_mending_it_is_enough(tmp_path, start, old, new, line):
    snapshot = (run := start(TUTORIAL.replace(old, new, 1))).snapshot()
    assert (snapshot.phase, snapshot.ended.exit_code, run.folder) == (Phase.FAILED, 2, None)
    assert snapshot.message.startswith(f"'{tmp_path}/my_net.py', line {line}: ")
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert start(TUTORIAL).snapshot().ended.exit_code == 0


def test_saved_weights_are_evaluated_by_the_net_that_was_trained_whatever_the_file_is_now(start, tmp_path):
    run = start(TUTORIAL)
    before = run.session.report
    write_net(tmp_path, "raise SystemExit")
    run.request(Request.EVALUATE)
    assert run.wait(60)
    assert run.snapshot().ended.exit_code == 0
    assert run.session.report is not before
    assert run.session.report.to_dict() == before.to_dict()
    again = LiveRun(run.config, checkpoints=tmp_path, resume=run.folder)
    again.start_run_evaluation()
    assert again.wait(60)
    assert again.session.report.to_dict() == before.to_dict()
    assert any("has changed since the training" in line.text for line in again.log_since(0))
