"""The colour theme, remembered between two starts in the user's configuration folder (XDG on Linux)."""

from pathlib import Path

from platformdirs import user_config_path
from textual.theme import BUILTIN_THEMES

from cifar_tui.engine.atomic import write_text_atomically

DEFAULT_THEME = "tokyo-night"


def theme_file() -> Path:
    """Return the file that holds the name of the theme."""
    return user_config_path("cifar-tui") / "theme"


def remembered_theme() -> str:
    """Return the theme that was chosen last, or the default."""
    try:
        name = theme_file().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return DEFAULT_THEME
    return name if name in BUILTIN_THEMES else DEFAULT_THEME


def remember_theme(name: str) -> None:
    """Remember `name` for the next start.

    Raises:
        OSError: the file cannot be written.
    """
    theme_file().parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(theme_file(), name)
