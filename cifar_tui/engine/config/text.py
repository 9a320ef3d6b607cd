"""Settings as a user reads and writes them: in the form and on the command line. Imports no torch."""

from cifar_tui.engine.config.fields import TYPE_NAMES
from cifar_tui.engine.config.schema import Setting, setting_field
from cifar_tui.engine.errors import ConfigError

_SWITCH_WORDS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def parse_setting(name: str, text: str) -> Setting:
    """The value of the setting `name` that a user wrote as `text`.

    Raises:
        ConfigError: no such setting, not a number where one is needed, or out of range.
    """
    field = setting_field(name)
    text = text.strip()
    value: Setting = text
    words = field.metadata["words"]
    try:
        if text.lower() in words:
            value = words[text.lower()]
        elif field.type is int:
            value = int(text.replace("_", ""))
        elif field.type is bool:
            value = _SWITCH_WORDS[text.lower()]
        elif field.type is not str:
            value = None if field.type == float | None and not text else float(text)
    except (ValueError, KeyError):
        wanted = "yes or no" if field.type is bool else TYPE_NAMES[field.type]
        wanted = " or ".join([wanted, *(f"{word!r}" for word in words)])
        raise ConfigError(f"{name} {text!r} must be {wanted}", field=name) from None
    reason = field.metadata["check"](value)
    if reason:
        raise ConfigError(f"{name} {text!r} {reason}", field=name)
    return value


def setting_text(name: str, value: Setting) -> str:
    """The `value` of the setting `name` as a user reads it, and as `parse_setting` reads it back."""
    for word, meaning in setting_field(name).metadata["words"].items():
        if value == meaning:
            return str(word)
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else str(value)
        case _:
            return str(value)
