"""Runs in the formats of other programs: one module for each, and what several of them share."""
