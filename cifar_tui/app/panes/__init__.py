"""The panes, a folder each."""
