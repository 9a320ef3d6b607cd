"""A GPU that fails under a run: it hangs, falls off the bus, or has a memory error. Imports no torch."""

import re

_SIGN = re.compile(
    r"(?:CUDA|HIP)(?: driver)? error: (?!CUBLAS|invalid|operation|device-side assert)[^\n]*"
    r"|CUBLAS_STATUS_(?:NOT_INITIALIZED|EXECUTION_FAILED|INTERNAL_ERROR)"
    r"|CUDNN_STATUS_(?:NOT_INITIALIZED|EXECUTION_FAILED|INTERNAL_ERROR)\w*"
)
"""What torch says then. An index out of range or an argument that no kernel takes is the program's error."""


def gpu_failure(error: BaseException | None) -> str:
    """What torch says of the failed GPU in `error` or in one that led to it; "" if it is of another kind."""
    while error is not None:
        if isinstance(error, RuntimeError) and (found := _SIGN.search(str(error))):
            return found[0]
        error = error.__cause__ or error.__context__
    return ""
