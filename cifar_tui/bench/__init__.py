"""`cifar-tui bench`: what the program costs, measured. A module for each benchmark, over `report`."""
