"""Training and evaluation; no UI code."""
