"""Training steps of the tutorial's net, compiled by numba."""
