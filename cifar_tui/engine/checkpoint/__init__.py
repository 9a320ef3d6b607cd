"""Checkpoints: files, writing, when to save, provenance."""
