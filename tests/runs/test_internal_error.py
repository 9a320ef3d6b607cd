"""Where the traceback of a defect of the program goes."""

import pytest

from cifar_tui.engine.events import Alert, Message
from cifar_tui.runs.internal_error import internal_error, report_traceback
from tests.foreign import put_fifo, put_hard_link, put_link


def raised():
    try:
        return 1 / 0
    except ZeroDivisionError as error:
        return error


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [put_link, put_hard_link, put_fifo])
def test_it_goes_to_the_screen_where_the_log_is_no_file_of_the_run(tmp_path, put):
    events, theirs, folder = [], tmp_path / "theirs", tmp_path / "run"
    folder.mkdir()
    theirs.write_text("precious")
    put(folder / "run.log", theirs)
    error = raised()
    said = report_traceback(error, internal_error(error), folder, events.append)
    assert said == "internal error (ZeroDivisionError: division by zero)"
    (alert,) = (event.text for event in events if isinstance(event, Alert))
    assert f"cannot write '{folder / 'run.log'}'" in alert
    assert "ZeroDivisionError: division by zero" in [e.text for e in events if isinstance(e, Message)]
    assert theirs.read_text() == "precious"
