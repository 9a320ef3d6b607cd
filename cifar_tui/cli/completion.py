"""`cifar-tui completion`: print a shell completion script."""

import argparse

import shtab

from cifar_tui.cli.option import Command
from cifar_tui.cli.options import COMMANDS, DASHBOARD
from cifar_tui.cli.output import print_result
from cifar_tui.cli.parser import PROGRAM, add_arguments
from cifar_tui.engine.config.presets import PRESETS
from cifar_tui.engine.config.schema import SETTINGS
from cifar_tui.engine.data.registry import FILES, PUBLISHED_PREFIX, SOURCES
from cifar_tui.engine.models.published.names import published_names

_RUNS = (
    "sh -c 'cd checkpoints 2>/dev/null && "
    "{ ls -d */ | tr -d / | grep -vx sweeps; cat */name | sed /[[:blank:]]/d; } "
    '2>/dev/null | grep -x "[A-Za-z0-9._+-]*"; echo latest\''
)
"""Lists the runs without starting Python, which takes longer than one waits for a tab."""

_SWEEPS = "sh -c 'ls checkpoints/sweeps 2>/dev/null | grep -x \"[A-Za-z0-9._+-]*\"'"

_SOURCES, _SUFFIXES = " ".join(SOURCES), (".tar.gz", *FILES)
_FISH_FILES = " ".join(f"(__fish_complete_suffix {suffix})" for suffix in _SUFFIXES)
_KEYS = " ".join(f"{name}=" for name in SETTINGS)
_MODELS = " ".join(f"{PUBLISHED_PREFIX}{name}" for name in published_names())
_VALUES = " ".join(
    [
        *(f"{field.name}={choice}" for field in SETTINGS.values() for choice in field.metadata["choices"]),
        *(f"model={model}" for model in _MODELS.split()),
    ]
)

_BASH = f"""\
_cifar_tui_values=({_VALUES})
_cifar_tui_setting() {{ compgen -W "{_KEYS}" -- "$1"; }}
_cifar_tui_run() {{ compgen -W "$({_RUNS})" -- "$1"; }}
_cifar_tui_sweep() {{ compgen -W "$({_SWEEPS})" -- "$1"; }}
_cifar_tui_run_or_file() {{ _cifar_tui_run "$1"; compgen -f -- "$1"; }}
_cifar_tui_data() {{
  compgen -W "{_SOURCES}" -- "$1"; compgen -d -- "$1"
  for suffix in {" ".join(_SUFFIXES)}; do compgen -f -X "!*$suffix" -- "$1"; done
}}
"""

_BASH_END = f"""
# bash splits "key=value" and "torchvision:NAME" into three words, and adds a space after "key="
_cifar_tui() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" key="" before names="{_SOURCES}"
  if [[ "${{COMP_WORDS[COMP_CWORD-1]}}$current" == "{PUBLISHED_PREFIX}" ]]; then
    key="{PUBLISHED_PREFIX}" current="" before=$((COMP_CWORD-3))
  elif [[ "${{COMP_WORDS[COMP_CWORD-2]-}}${{COMP_WORDS[COMP_CWORD-1]}}" == "{PUBLISHED_PREFIX}" ]]; then
    key="{PUBLISHED_PREFIX}" before=$((COMP_CWORD-4))
  fi
  if [[ -n $key ]]; then
    [[ $before -gt 0 && ${{COMP_WORDS[before]}} == model ]] && names="{_MODELS}"
    COMPREPLY=($(compgen -W "$names" -- "$key$current"))
    COMPREPLY=("${{COMPREPLY[@]#*:}}")
    return 0
  fi
  if [[ $current == "=" && ${{COMP_WORDS[COMP_CWORD-2]}} == "--set" ]]; then
    key="${{COMP_WORDS[COMP_CWORD-1]}}" current=""
  elif [[ ${{COMP_WORDS[COMP_CWORD-1]}} == "=" && ${{COMP_WORDS[COMP_CWORD-3]-}} == "--set" ]]; then
    key="${{COMP_WORDS[COMP_CWORD-2]}}"
  fi
  if [[ -n $key ]]; then
    COMPREPLY=($(compgen -W "${{_cifar_tui_values[*]}}" -- "$key=$current"))
    COMPREPLY=("${{COMPREPLY[@]#*=}}")
  else
    _shtab_cifar_tui "$@"
    [[ ${{COMPREPLY[0]-}} == *= ]] && compopt -o nospace 2>/dev/null
  fi
  return 0
}}
complete -o bashdefault -F _cifar_tui {PROGRAM}
"""

_ZSH = f"""\
_cifar_tui_values=({_VALUES})
_cifar_tui_setting() {{
  if compset -P '*='; then
    compadd -- ${{${{(M)_cifar_tui_values:#$IPREFIX*}}#*=}}
  else
    compadd -S '' -- {_KEYS}
  fi
}}
_cifar_tui_run() {{ compadd -- ${{(f)"$({_RUNS})"}} }}
_cifar_tui_sweep() {{ compadd -- ${{(f)"$({_SWEEPS})"}} }}
_cifar_tui_run_or_file() {{ _cifar_tui_run; _files }}
_cifar_tui_data() {{ compadd -- {_SOURCES}; _files -g '*({"|".join(_SUFFIXES)})' }}
"""

_COMPLETERS = {
    "data": {
        "bash": "_cifar_tui_data",
        "zsh": "_cifar_tui_data",  # its _files adds the folders
        "fish": f"{_SOURCES} {shtab.DIRECTORY['fish']} {_FISH_FILES}",
    },
    "directory": shtab.DIRECTORY,
    "file": shtab.FILE,
    "run": {"bash": "_cifar_tui_run", "zsh": "_cifar_tui_run", "fish": f"({_RUNS})"},
    "run or file": {
        "bash": "_cifar_tui_run_or_file",
        "zsh": "_cifar_tui_run_or_file",
        "fish": f"({_RUNS}) {shtab.FILE['fish']}",
    },
    "sweep": {"bash": "_cifar_tui_sweep", "zsh": "_cifar_tui_sweep", "fish": f"({_SWEEPS})"},
    "setting": {"bash": "_cifar_tui_setting", "zsh": "_cifar_tui_setting", "fish": f"{_KEYS} {_VALUES}"},
}


def completion(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    print_result(completion_script(options.shell))
    return 0


def completion_script(shell: str) -> str:
    """Build the script for `shell`, one of `SHELLS`."""
    root = argparse.ArgumentParser(prog=PROGRAM)
    _add(root, DASHBOARD)
    commands = root.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        _add(commands.add_parser(name, help=command.summary), command)
    script = shtab.complete(root, shell, preamble={"bash": _BASH, "zsh": _ZSH}.get(shell, ""))
    return script + _BASH_END if shell == "bash" else script


def _add(parser: argparse.ArgumentParser, command: Command) -> None:
    for action, values in add_arguments(parser, command):
        if values.kind == "choice":
            action.choices = values.choices
        elif values.kind == "preset":
            action.choices = tuple(PRESETS)
        elif values.kind:
            action.complete = _COMPLETERS[values.kind]  # type: ignore[attr-defined]  # shtab reads it, argparse does not declare it
