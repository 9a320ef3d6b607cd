"""The step backends by name, the fastest first. Imports no torch."""

BACKENDS: dict[str, str] = {
    "numba": "cifar_tui.engine.steps.numba.backend:BACKEND",
    "cuda_graph": "cifar_tui.engine.steps.cuda_graph:BACKEND",
    "eager": "cifar_tui.engine.steps.pytorch:BACKEND",
}
"""`module:name` of the `StepBackend` of each. A new backend needs a module and a row here."""
