"""A GPU that fails is told from errors of the program by what torch really says."""

import pytest
import torch

from cifar_tui.engine.device.failure import gpu_failure

LATER = (
    "\nSearch for `cudaErrorLaunchFailure' in https://docs.nvidia.com/cuda for more information.\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
FAILED = {
    f"CUDA error: unspecified launch failure{LATER}": "CUDA error: unspecified launch failure",
    f"CUDA error: uncorrectable ECC error encountered{LATER}": (
        "CUDA error: uncorrectable ECC error encountered"
    ),
    f"CUDA error: an illegal memory access was encountered{LATER}": (
        "CUDA error: an illegal memory access was encountered"
    ),
    "CUDA error: the launch timed out and was terminated": (
        "CUDA error: the launch timed out and was terminated"
    ),
    "CUDA error: unknown error": "CUDA error: unknown error",
    "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors": (
        "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
    ),
    "HIP error: unspecified launch failure": "HIP error: unspecified launch failure",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa)`": (
        "CUBLAS_STATUS_EXECUTION_FAILED"
    ),
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR": "CUDNN_STATUS_INTERNAL_ERROR",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED_CUDART": "CUDNN_STATUS_EXECUTION_FAILED_CUDART",
}


@pytest.mark.parametrize("text", FAILED)
@pytest.mark.parametrize("kind", [RuntimeError, torch.AcceleratorError])
def test_a_gpu_that_failed_is_named_by_the_first_sentence(kind, text):
    assert gpu_failure(kind(text)) == FAILED[text]


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError(f"CUDA error: device-side assert triggered{LATER}"),
        torch.AcceleratorError(f"CUDA error: invalid argument{LATER}"),
        torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing"),
        RuntimeError("CUDA error: CUBLAS_STATUS_INVALID_VALUE when calling `cublasSgemm( handle, opa)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("CUDA error: unknown error"),
        ZeroDivisionError("division by zero"),
    ],
    ids=repr,
)
def test_an_error_of_the_program_is_none_of_a_gpu(error):
    assert gpu_failure(error) == ""


def test_what_fails_after_the_gpu_did_is_its_failure_too():
    error = ValueError("cannot clean up")
    error.__context__ = torch.AcceleratorError("CUDA error: unspecified launch failure")
    assert gpu_failure(error) == "CUDA error: unspecified launch failure"
