"""What the tests of the commands share."""

import pytest

from tests.cli.command import CommandLine


@pytest.fixture
def cli(tmp_path, capsys):
    """The command line, in `tmp_path`."""
    return CommandLine(tmp_path, capsys)
