"""What the figures say of the machine that they hold for."""

import subprocess
import sys

from cifar_tui.bench.machine import processor

ONE_OF_TWO_CORES = """processor\t: {number}
model name\t: Some Processor @ 2.50GHz
flags\t\t: fpu avx512f{flags}

"""


def test_the_processor_is_named_as_linux_names_it(tmp_path):
    cpu_info = tmp_path / "cpuinfo"
    for flags, able in ((" avx512_bf16", True), ("", False)):
        cpu_info.write_text("".join(ONE_OF_TWO_CORES.format(number=k, flags=flags) for k in range(2)))
        assert processor(cpu_info) == {"processor": "Some Processor @ 2.50GHz", "avx512_bf16": able}


def test_what_is_not_known_is_not_said(tmp_path):
    assert processor(tmp_path / "cpuinfo")["avx512_bf16"] is None


def test_the_gpus_are_those_of_torch_in_another_process():
    code = "import sys; from cifar_tui.bench import machine as m; m._GPU_DRIVERS = ('/',); "
    code += "print(sorted(m.machine()), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'gpus'" in said
    assert "'cuda'" in said
    assert said.endswith("False\n")
