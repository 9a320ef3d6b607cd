"""Datasets that torchvision knows: one module per format, registered in `data/registry.py`."""
