"""Control servers that note what they are asked."""

import pytest

from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.runs.control.server import ControlServer
from cifar_tui.runs.state import RunProgress


class NotingServer(ControlServer):
    """Notes the requests; refuses them with `refusal`, or fails with `defect`, if there is one."""

    def __init__(self, folder):
        super().__init__(RunFolder(folder), self.note, progress=lambda: self.progress)
        self.folder = folder
        self.requests = []
        self.progress = RunProgress()
        self.refusal = None
        self.defect = None

    def note(self, request):
        self.requests.append(request)
        if self.defect is not None:
            raise self.defect
        return self.refusal


@pytest.fixture
def make_server(tmp_path):
    servers = []

    def make(folder=tmp_path / "run"):
        folder.mkdir(parents=True, exist_ok=True)
        server = NotingServer(folder)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(make_server):
    return make_server()
