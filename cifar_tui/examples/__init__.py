"""Nets to start your own from; each is a file for `--set model=FILE.py:NAME`."""
