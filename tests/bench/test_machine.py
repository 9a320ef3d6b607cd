"""The machine that a report describes."""

import subprocess
import sys

from cifar_tui.bench.machine import describe_processor

ONE_OF_TWO_CORES = """processor\t: {number}
model name\t: Some Processor @ 2.50GHz
flags\t\t: fpu avx512f{flags}

"""


def test_processor_is_read_from_cpuinfo(tmp_path):
    cpu_info = tmp_path / "cpuinfo"
    for flags, able in ((" avx512_bf16", True), ("", False)):
        cpu_info.write_text("".join(ONE_OF_TWO_CORES.format(number=k, flags=flags) for k in range(2)))
        expected = {"processor": "Some Processor @ 2.50GHz", "avx512_bf16": able}
        assert describe_processor(cpu_info) == expected
    assert describe_processor(tmp_path / "missing")["avx512_bf16"] is None


def test_gpus_are_listed_without_importing_torch():
    code = "import sys; from cifar_tui.bench import machine as m; m._GPU_DRIVERS = ('/',); "
    code += "print(sorted(m.describe_machine()), 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'gpus'" in printed
    assert "'cuda'" in printed
    assert printed.endswith("False\n")
