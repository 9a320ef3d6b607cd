"""A run on disk, and how a screen follows and steers it."""
