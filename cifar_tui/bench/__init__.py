"""`cifar-tui bench`: what the program costs, measured. `runs` is the benchmark, over the shared `report`."""
