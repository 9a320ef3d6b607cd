"""Text that is safe to show on a terminal."""


def printable(text: str) -> str:
    """Replace the characters of `text` that a terminal would interpret or an encoder would refuse."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
