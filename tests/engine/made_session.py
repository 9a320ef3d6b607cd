"""A run of the engine in the calling thread, whose events are collected."""

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.events import Message
from cifar_tui.engine.session import Session


class Run:
    def __init__(
        self, tmp_path, *, data, on_event=None, assume_class_order=False, edited_model=False, **settings
    ):
        self.events = []
        self.folder = tmp_path / "run"
        self.folders = 0
        self.control = RunControl()
        self.on_event = on_event
        config = TrainConfig(
            **{
                "data": str(data),
                "data_dir": str(tmp_path / "data"),
                "epochs": 4,
                "device": "cpu",
                **settings,
            }
        )
        self.session = Session(
            config=config,
            emit=self.emit,
            control=self.control,
            assume_class_order=assume_class_order,
            edited_model=edited_model,
        )

    def emit(self, event):
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(self, event)

    def train(self, resume_from=None):
        self.folders = 0
        return self.session.train(self.create_folder, interactive=True, resume_from=resume_from)

    def create_folder(self):
        self.folders += 1
        assert self.folders == 1, "each call makes another folder"
        self.folder.mkdir(exist_ok=True, parents=True)
        return RunFolder(self.folder)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def printed(self):
        return [event.text for event in self.of(Message) if event.printed]
