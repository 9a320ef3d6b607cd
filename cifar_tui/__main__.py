"""Run `python -m cifar_tui`."""

import sys

from cifar_tui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
