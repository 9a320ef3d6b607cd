"""Nets from a file of the user's: found by name, loaded, built, checked, and kept with the run."""
