"""`cifar-tui bench`: what the program costs, measured. `command` runs the benchmarks: one file for each."""
