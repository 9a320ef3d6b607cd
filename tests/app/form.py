"""The form while it is being mounted."""

from cifar_tui.app.panes.settings.pane import SettingRow
from cifar_tui.engine.config.schema import SETTINGS


def is_ready(app):
    """Whether all rows of the form are mounted: Textual fails if the app exits meanwhile."""
    rows = app.dashboard.query(SettingRow)
    return len(rows) == len(SETTINGS) and all("NULL" not in str(row.field.value) for row in rows)
