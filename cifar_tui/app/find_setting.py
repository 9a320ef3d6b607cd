"""Find a setting by name, in Textual's palette."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cifar_tui.app.views.train import Dashboard
from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.runs.table import ALIASES


class SettingsProvider(Provider):
    """Offers every setting; choosing one moves the cursor of the form to it."""

    async def discover(self) -> Hits:
        for name, field in SETTINGS.items():
            yield DiscoveryHit(name, partial(self._find, name), help=field.metadata["description"])

    async def search(self, query: str) -> Hits:
        text = query.strip().lower().replace(" ", "_")
        matcher = self.matcher(text)
        for name, field in SETTINGS.items():
            score = relevance(text, name)
            if score > 0:
                found = partial(self._find, name)
                yield Hit(score, matcher.highlight(name), found, help=field.metadata["description"])

    def _find(self, name: str) -> None:
        if isinstance(self.screen, Dashboard):
            self.screen.find_setting(name)


def relevance(text: str, name: str) -> int:
    """Rate how well the setting `name` fits `text`; 0 if it does not.

    The name itself or its alias comes before names that begin with `text`, these before names that contain
    it, and these before descriptions that do.
    """
    if text == name or ALIASES.get(text) == name:
        return 4
    if name.startswith(text):
        return 3
    if text in name:
        return 2
    return int(text.replace("_", " ") in SETTINGS[name].metadata["description"].lower())
