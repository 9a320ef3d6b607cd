"""The names of the files in a run's folder."""

CONFIG_FILE = "config.toml"
EVENTS_FILE = "events.jsonl"
LAST_FILE = "last.pt"
WEIGHTS_FILE = "cifar_net.pth"
REPORT_FILE = "report.json"
LOG_FILE = "run.log"
