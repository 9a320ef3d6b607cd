"""Evaluation on the test set."""
