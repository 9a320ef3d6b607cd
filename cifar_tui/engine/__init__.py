"""Trains and evaluates. Knows no screen."""
