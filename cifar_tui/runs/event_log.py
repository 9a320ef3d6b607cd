"""The event log of a run: append-only lines of JSON, the truth that every screen can be rebuilt from."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from cifar_tui.engine.events import Event, LossPoint, event_from_dict, event_to_dict
from cifar_tui.engine.files import EVENTS_FILE

SCHEMA_VERSION = 1

_FLUSH_SECONDS = 1.0


class EventLog:
    """Appends events to `folder/events.jsonl`; the first line names the schema version.

    Raises:
        OSError: the file cannot be written, here or in `append` and `close`.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / EVENTS_FILE
        self._file = path.open("a", encoding="utf-8")
        self._flushed = time.monotonic()
        if self._file.tell() == 0:
            self._write({"schema": SCHEMA_VERSION})

    def append(self, event: Event) -> None:
        """Append `event` unless it is transient. Points of a chart may stay in memory for a second."""
        if event.transient:
            return
        self._write(event_to_dict(event))
        if not isinstance(event, LossPoint) or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _write(self, values: dict[str, object]) -> None:
        self._file.write(json.dumps(values, separators=(",", ":"), allow_nan=False) + "\n")


def read_events(folder: Path) -> Iterator[Event]:
    """The events in the log of `folder`, oldest first.

    A torn last line, as a crash leaves it, is the end of the log; events of a type this version does not
    know are passed over.

    Raises:
        OSError: the log cannot be read.
    """
    with (folder / EVENTS_FILE).open(encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            values = json.loads(line)
            if "event" in values:
                event = event_from_dict(values)
                if event is not None:
                    yield event
