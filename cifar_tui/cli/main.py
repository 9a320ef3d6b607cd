"""The entry point: parse the command line and run the command."""

import sys

from cifar_tui.cli.parser import parse


def main(arguments: list[str] | None = None) -> int:
    """Run `cifar-tui` and return its exit code."""
    options = parse(arguments)
    # torch, textual and the commands that need them are imported only now
    from cifar_tui.engine.errors import UserError

    try:
        match options.command:
            case "train":
                from cifar_tui.cli.train import train

                return train(options)
            case "eval":
                from cifar_tui.cli.eval import evaluate

                return evaluate(options)
            case "attach":
                from cifar_tui.cli.attach import attach

                return attach(options)
            case "runs":
                from cifar_tui.cli.parser import checkpoints_folder
                from cifar_tui.cli.runs import list_command

                return list_command(checkpoints_folder(options), options.runs, as_json=options.json)
            case "presets":
                from cifar_tui.cli.presets import presets

                return presets(options)
            case "completion":
                from cifar_tui.cli.completion import completion

                return completion(options)
            case "bench":
                from cifar_tui.cli.bench import bench

                return bench(options)
            case _:
                from cifar_tui.cli.dashboard import open_idle

                return open_idle(options)
    except UserError as error:
        print(f"cifar-tui: {error}", file=sys.stderr)
        return error.exit_code
