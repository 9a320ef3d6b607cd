"""Programs in pseudo-terminals."""

import pytest

from tests.terminal.program import Program


@pytest.fixture
def run(tmp_path):
    programs = []

    def run(body="", **options):
        programs.append(Program(tmp_path, body, **options))
        return programs[-1]

    yield run
    for program in programs:
        program.close()
