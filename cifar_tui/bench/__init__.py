"""`cifar-tui bench`: measures the speed of this machine, against the tutorial's own loop."""
