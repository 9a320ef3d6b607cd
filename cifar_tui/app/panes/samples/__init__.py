"""The samples pane."""
