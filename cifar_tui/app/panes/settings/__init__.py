"""The form for the settings of the next run: one row per setting, in groups that fold."""
