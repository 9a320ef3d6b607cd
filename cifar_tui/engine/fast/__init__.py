"""A compiled step of the tutorial's net, in numba; imported only where it is used."""
