"""Suggest how a text in the form may go on."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from textual.suggester import Suggester, SuggestFromList

from cifar_tui.engine.models.own.complete import complete_model
from cifar_tui.engine.models.published.names import complete_published


def suggester_for(metadata: Mapping[str, Any]) -> Suggester | None:
    """Return what suggests values of the setting with this `metadata`; None if nothing does."""
    suggestions = metadata["suggestions"]
    if metadata["others"] and not suggestions:
        return _Models(metadata["choices"])
    return SuggestFromList([*metadata["choices"], *suggestions]) if suggestions else None


class _Models(Suggester):
    """Suggests a registered model, one of torchvision's, or a net in a Python file.

    A thread reads the source of torchvision and the files: a disk may hang.
    """

    def __init__(self, models: Mapping[str, str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._models = models

    async def get_suggestion(self, value: str) -> str | None:
        found: Future[str | None] = Future()
        threading.Thread(
            target=lambda: found.set_result(complete_model(value) or complete_published(value)),
            name="cifar-tui-suggest",
            daemon=True,
        ).start()
        model = next((name for name in self._models if name.startswith(value)), None)
        return await asyncio.wrap_future(found) or model
