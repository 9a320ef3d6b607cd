"""Where the traceback of a dashboard that failed goes."""

import pytest

from cifar_tui.app.failure import failure_message
from tests.foreign import put_fifo, put_hard_link, put_link

FAILURE = ZeroDivisionError("a defect")
SUMMARY = "cifar-tui: internal error in the dashboard (ZeroDivisionError: a defect); details in "


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_it_is_added_to_the_log_of_the_run(run):
    (run / "run.log").write_text("before\n")
    assert failure_message(FAILURE, run) == f"{SUMMARY}'{run / 'run.log'}'"
    log = (run / "run.log").read_text()
    assert log.startswith("before\n")
    assert "ZeroDivisionError: a defect\n" in log


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [put_link, put_hard_link, put_fifo])
def test_what_is_no_file_of_the_run_is_not_written_to_and_not_waited_for(run, tmp_path, put):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    put(run / "run.log", theirs)
    log = tmp_path / "state" / "cifar-tui" / "errors.log"
    assert failure_message(FAILURE, run) == f"{SUMMARY}'{log}'"
    assert "ZeroDivisionError: a defect\n" in log.read_text()
    assert theirs.read_text() == "precious"
