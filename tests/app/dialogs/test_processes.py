"""The table of the processes of a run, of made-up ones and of a job of torchrun's."""

import platform
import re

import pytest

from cifar_tui.app.app import CifarApp
from cifar_tui.app.dialogs.processes import ProcessesScreen
from cifar_tui.app.launch import Attach
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import RankMeasured, RanksMeasured
from cifar_tui.runs.control.client import send_request
from cifar_tui.runs.control.protocol import Request
from tests.app.panes.pane_app import until
from tests.cli.command import wait_until
from tests.runs.made_events import STARTED, at, folded
from tests.torchrun import events_in, start_job, the_run


def text(app):
    width, height = app.size
    return "\n".join(line.text.ljust(width) for line in app.screen._compositor.render_strips()[:height])


def rows(app):
    """The figures of the processes as the table shows them: rank, host, device, images/s, waits, mark."""
    row = re.compile(r"│ +(\d+)  (\S.*?) {2,}(\S.*?) {2,}([\d,]+) +(\d+ %) +(◂ slowest)?")
    return [found.groups(default="") for found in map(row.search, text(app).splitlines()) if found]


@pytest.mark.parametrize("size", [(80, 23), (60, 16), (120, 40)], ids=str)
async def test_each_of_eight_processes_on_two_hosts_has_a_row_and_the_slowest_is_marked(app, size):
    ranks = [
        RankMeasured(
            host=("north", "south")[rank // 4],
            device=f"cuda:{rank % 4}",
            images_per_second=12_000 - 100 * (rank == 6),
            waited=rank / 100,
        )
        for rank in range(8)
    ]
    state = folded(at(1, STARTED))
    async with app.run_test(size=size) as pilot:
        app.push_screen(ProcessesScreen(state.snapshot))
        await until(pilot, lambda: "Waiting for data" in text(app))
        state.apply(at(2, RanksMeasured(ranks=tuple(ranks))))
        await until(pilot, lambda: len(rows(app)) == 8)
        assert rows(app) == [
            (
                str(rank),
                ("north", "south")[rank // 4],
                f"cuda:{rank % 4}",
                "11,900" if rank == 6 else "12,000",
                f"{rank} %",
                "◂ slowest" if rank == 6 else "",
            )
            for rank in range(8)
        ]
        await pilot.press("p")
        assert not isinstance(app.screen, ProcessesScreen)


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        (
            ("ip-172-31-44-1.compute.internal", "ip-172-31-44-2.compute.internal"),
            ["ip-172-31-44-1", "ip-172-31-44-2"],
        ),
        (("gpu.one", "gpu.two"), ["gpu.one", "gpu.two"]),
    ],
    ids=["one domain", "two domains"],
)
async def test_hosts_of_one_domain_are_told_apart_by_their_names_in_it(app, hosts, shown):
    ranks = tuple(RankMeasured(host=host, device="cpu", images_per_second=9.0, waited=0.0) for host in hosts)
    state = folded(at(1, STARTED), at(2, RanksMeasured(ranks=ranks)))
    async with app.run_test(size=(80, 23)) as pilot:
        app.push_screen(ProcessesScreen(state.snapshot))
        await until(pilot, lambda: len(rows(app)) == 2)
        assert [row[1] for row in rows(app)] == shown


async def test_the_names_of_hosts_and_devices_are_cut_before_the_figures(app):
    ranks = (
        RankMeasured(host="h" * 70, device="cuda:0 " + "d" * 70, images_per_second=1_234_567.0, waited=1.0),
    )
    state = folded(at(1, STARTED), at(2, RanksMeasured(ranks=ranks)))
    async with app.run_test(size=(60, 16)) as pilot:
        app.push_screen(ProcessesScreen(state.snapshot))
        await until(pilot, lambda: "1,234,567  100 %  ◂ slowest" in text(app))
        assert re.search(r"h…  cuda:0 ", text(app)) or re.search(r"h…  cuda:0…", text(app))


async def test_a_key_shows_the_processes_of_a_job_that_trains(tmp_path, image_folder):
    checkpoints = tmp_path / "checkpoints"
    settings = ["--epochs=50000", "--set=batch_size=12", "--set=eval_every=0"]
    job = start_job(3, "--device=cpu", f"--data={image_folder}", *settings, cwd=tmp_path)
    try:
        wait_until(lambda: events_in(checkpoints, RanksMeasured))
        launch = Attach(folder=the_run(checkpoints), config=TrainConfig(), recap=False)
        app = CifarApp(launch, checkpoints=checkpoints)
        async with app.run_test(size=(80, 23)) as pilot:
            await until(pilot, lambda: "◂ slowest" in text(app))
            await pilot.press("p")
            await until(pilot, lambda: len(rows(app)) == 3)
            assert [row[:3] for row in rows(app)] == [
                (str(rank), platform.node(), "cpu") for rank in range(3)
            ]
            assert all(row[3] != "0" for row in rows(app))
            assert sum(row[5] != "" for row in rows(app)) == 1
        send_request(the_run(checkpoints), Request.STOP)
        assert job.wait(60) == 0
    finally:
        job.terminate()
