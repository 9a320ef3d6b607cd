"""A run whose memory runs out says what to lower, is saved, and is resumed as if nothing had happened."""

import pytest
import torch

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import EpochFinished, LossPoint
from cifar_tui.engine.session import Session
from tests.engine.made_training import MadeTraining, first_images

pytestmark = pytest.mark.usefixtures("one_thread")


def test_memory_that_runs_out_after_the_last_batch_of_an_epoch_costs_nothing(noise_dataset, tmp_path):
    def run_out(run, event):
        if isinstance(event, LossPoint) and event.step == 10:
            raise MemoryError

    dataset = first_images(noise_dataset, 40)
    settings = {"epochs": 2, "learning_rate": 0.01}
    whole = MadeTraining(dataset, tmp_path / "whole", **settings)
    whole.trainer.fit()
    run = MadeTraining(dataset, tmp_path / "run", on_event=run_out, **settings)
    with pytest.raises(MemoryError) as raised:
        run.trainer.fit()
    assert run.trainer.rescue(raised.value) == "saved at step 10; "
    state = load_training_state(tmp_path / "run" / "last.pt")
    assert (state["epoch"], state["batch"], state["epoch_done"]) == (1, 10, False)
    resumed = MadeTraining(dataset, tmp_path / "run", state=state, **settings)
    assert resumed.trainer.fit().completed
    assert all(map(torch.equal, resumed.net.parameters(), whole.net.parameters()))
    assert resumed.of(EpochFinished)[0].loss == whole.of(EpochFinished)[0].loss
    assert [event.epoch for event in resumed.of(EpochFinished)] == [1, 2]


@pytest.mark.parametrize("where", ["training.run_parts.build_training", "session.Trainer"])
def test_memory_that_runs_out_before_the_first_step_is_told_with_what_to_lower(
    image_folder, tmp_path, monkeypatch, where
):
    def run_out(*_, **__):
        raise torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported")

    monkeypatch.setattr(f"cifar_tui.engine.{where}", run_out)
    config = TrainConfig(data=str(image_folder), data_dir=str(tmp_path), device="cpu", batch_size=8)
    session = Session(config=config, emit=lambda _: None, control=RunControl())
    with pytest.raises(RunFailedError, match=r"^out of memory .*: lower batch_size \(now 8\)"):
        session.train(lambda: RunFolder(tmp_path), interactive=True)
