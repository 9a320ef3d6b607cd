"""The models: a module per family, registered in `registry`."""
