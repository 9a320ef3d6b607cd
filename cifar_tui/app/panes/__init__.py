"""The panes: a module each, with its styles."""
