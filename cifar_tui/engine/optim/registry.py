"""The optimizers by name. Imports no torch."""

OPTIMIZERS: dict[str, str] = {
    "sgd": "cifar_tui.engine.optim.build:sgd",
    "nesterov": "cifar_tui.engine.optim.build:nesterov",
    "adamw": "cifar_tui.engine.optim.build:adamw",
    "muon": "cifar_tui.engine.optim.muon:muon",
}
"""`module:name` of what builds each, called with parameter groups and the config.

A new optimizer needs a function and a row here.
"""
