"""Widgets that several panes or screens use."""
