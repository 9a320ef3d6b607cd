"""Whole screens: the dashboard, help and dialogs."""
