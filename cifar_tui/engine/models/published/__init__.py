"""Architectures and weights that torchvision publishes."""
