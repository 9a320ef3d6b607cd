"""The entry point: parse the command line and run the command.

Imports almost nothing by itself, so that ctrl+c has its meaning before anything slow is imported.
"""

import sys

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run `cifar-tui` and return its exit code; without `arguments`, as the program of this process."""
    if arguments is None:
        try:
            _own_process()
        except KeyboardInterrupt:
            return _INTERRUPTED
    from cifar_tui.cli.output import print_message
    from cifar_tui.engine.distributed.launch import launched, report_failure
    from cifar_tui.engine.errors import UserError
    from cifar_tui.engine.text import escaped

    in_job = arguments is None and launched() is not None
    if in_job:
        from cifar_tui.cli.rank import end_process, hide_native_warnings

        hide_native_warnings()
    try:
        code = _run(arguments)
    except UserError as error:
        print_message(f"cifar-tui: {error}")
        report_failure(escaped(str(error)))
        code = error.exit_code
    if in_job:
        end_process(code)
    return code


def _own_process() -> None:
    """Let ctrl+c end this process at once, and make its standard streams usable.

    Commands with something to save or to remove have handlers of their own.
    """
    import signal  # takes as long as the rest of the start

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored in a background job
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cifar_tui.terminal.standard_streams import (
        STDOUT,
        follow_terminal_size,
        prepare_standard_streams,
        read_file_names_as_utf_8,
    )

    prepare_standard_streams()
    read_file_names_as_utf_8()
    follow_terminal_size(STDOUT)


def _run(arguments: list[str] | None) -> int:
    from cifar_tui.cli.parser import checkpoints_folder, parse
    from cifar_tui.engine.distributed.launch import launched

    launch = launched()
    if launch is not None and launch.rank and arguments is None and sys.argv[1:2] == ["train"]:
        from cifar_tui.cli.rank import follow_first

        return follow_first(launch)
    options = parse(arguments)
    # torch, textual and the commands that need them are imported only now
    match options.command:
        case "train":
            from cifar_tui.cli.train import train

            return train(options)
        case "eval":
            from cifar_tui.cli.eval import evaluate

            return evaluate(options)
        case "predict":
            from cifar_tui.cli.predict import predict

            return predict(options)
        case "lr":
            from cifar_tui.cli.lr import find_learning_rate

            return find_learning_rate(options)
        case "attach":
            from cifar_tui.cli.attach import attach

            return attach(options)
        case "runs":
            from cifar_tui.cli.runs import list_command

            return list_command(checkpoints_folder(options), options.runs, as_json=options.json)
        case "export":
            from cifar_tui.cli.export import export

            return export(options)
        case "presets":
            from cifar_tui.cli.presets import presets

            return presets(options)
        case "sweep":
            from cifar_tui.cli.sweep import sweep

            return sweep(options)
        case "completion":
            from cifar_tui.cli.completion import completion

            return completion(options)
        case "bench":
            from cifar_tui.cli.bench import bench

            return bench(options)
        case _:
            from cifar_tui.cli.dashboard import open_idle

            return open_idle(options)
