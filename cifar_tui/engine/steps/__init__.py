"""The backends that run training steps."""
