"""Find a setting by name, in Textual's palette."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cifar_tui.app.views.train import Dashboard
from cifar_tui.engine.config.schema import SETTINGS


class SettingsProvider(Provider):
    """Offers every setting; choosing one moves the cursor of the form to it."""

    async def discover(self) -> Hits:
        for name, field in SETTINGS.items():
            yield DiscoveryHit(name, partial(self._find, name), help=field.metadata["description"])

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query.strip().replace(" ", "_"))
        for name, field in SETTINGS.items():
            score = matcher.match(name)
            if score > 0:
                found = partial(self._find, name)
                yield Hit(score, matcher.highlight(name), found, help=field.metadata["description"])

    def _find(self, name: str) -> None:
        if isinstance(self.screen, Dashboard):
            self.screen.find_setting(name)
