"""Train and understand CIFAR-10 image classifiers in the terminal."""

__version__ = "0.1.0"
