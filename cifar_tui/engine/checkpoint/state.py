"""Check the values in a `last.pt`, which anybody may have written."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from cifar_tui.engine.data.class_names import class_names_in
from cifar_tui.engine.data.normalization import normalization_in
from cifar_tui.engine.data.scales import scales_in
from cifar_tui.engine.errors import ConfigError

_MOST_COUNTED = 2**53
_LEARNING = (
    *("lr", "momentum", "betas", "eps", "weight_decay", "dampening", "nesterov", "orthogonal", "alpha"),
    *("amsgrad", "centered", "etas", "lambd", "lr_decay", "momentum_decay", "rho", "step_sizes", "t0"),
)
"""The hyperparameters of an optimizer: they come from the settings, not from a file."""
_FACTORS = {"row_var": -1, "col_var": -2}
"""The buffers of Adafactor, and the dimension of the parameter that each is the mean over."""


def missing_in(state: Mapping[str, Any]) -> list[str]:
    """Return the keys of a `last.pt` that `state` lacks; none for a training checkpoint."""
    return [name for name in _VALUES if name not in state and name not in _ADDED]


def damage_in(state: Mapping[str, Any]) -> str:
    """Name the first value of `state` that no run has saved, as in `its step is not a count`; "" for none."""
    for name, (is_sound, kind) in _VALUES.items():
        if name in state and not is_sound(state[name]):
            return f"its {name} is not {kind}"
    return ""


def check_position(
    state: Mapping[str, Any], *, epochs: int, steps_per_epoch: int, generator_bytes: int
) -> None:
    """Check that `state` is within a run of `epochs`, with random numbers of this generator.

    Args:
        state: the content of a `last.pt`.
        epochs: of the run.
        steps_per_epoch: steps in an epoch.
        generator_bytes: size of the state of the random number generator.

    Raises:
        ValueError: it is not.
    """
    epoch, batch, step = state["epoch"], state["batch"], state["step"]
    if epoch > epochs:
        raise ValueError(f"it is in epoch {epoch} of {epochs}")
    ends_early = state["epoch_done"] and batch < steps_per_epoch
    if ends_early or batch > steps_per_epoch or step != (epoch - 1) * steps_per_epoch + batch:
        raise ValueError(
            f"it is at step {step:,}, in batch {batch:,} of {steps_per_epoch:,} of epoch {epoch}"
        )
    for name in ("rng_state", "epoch_rng_state"):
        if state[name].numel() != generator_bytes:
            raise ValueError(f"its {name} has {state[name].numel()} bytes, expected {generator_bytes}")


def has_trained(state: Mapping[str, Any], epochs: int) -> bool:
    """Return whether `state` is the end of `epochs`, which leaves no step and no validation to do."""
    return bool(state["epoch"] == epochs and state["epoch_done"] and not state["validation_due"])


def hyperparameters(optimizer: Optimizer, *, with_lr: bool) -> list[dict[str, Any]]:
    """Return the hyperparameters of each parameter group; `with_lr` if no schedule changes the rate."""
    return [
        {name: group[name] for name in _LEARNING if name in group and (with_lr or name != "lr")}
        for group in optimizer.param_groups
    ]


def check_optimizer(optimizer: Optimizer, expected: list[dict[str, Any]]) -> None:
    """Check a loaded optimizer: it has the hyperparameters of the settings, and buffers of the right shape.

    Raises:
        ValueError: it does not.
    """
    found = hyperparameters(optimizer, with_lr=any("lr" in group for group in expected))
    for group, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            if group.get(name) != value:
                raise ValueError(f"its optimizer has {name} {group.get(name)}, the settings say {value}")
    for parameter, buffers in optimizer.state.items():
        for name, buffer in buffers.items():
            if isinstance(buffer, Tensor) and buffer.dim() and not _is_like(buffer, parameter, name):
                raise ValueError(f"its {name} has shape {tuple(buffer.shape)}, not {tuple(parameter.shape)}")


def _is_like(buffer: Tensor, parameter: Tensor, name: str) -> bool:
    """Whether `buffer` has the shape of `parameter`; those of Adafactor have one row or one column of it."""
    expected = list(parameter.shape)
    if name in _FACTORS:
        expected[_FACTORS[name]] = 1
    return list(buffer.shape) == expected


class HasState(Protocol):
    """What continues from a part of a `last.pt`."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        ...


def load_state(part: HasState, state: Mapping[str, Any], path: Path) -> None:
    """Have `part` continue from `state`, the content of the `last.pt` at `path`.

    Raises:
        ConfigError: it does not fit.
    """
    try:
        part.load_state_dict(state)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[:2][-1].strip().rstrip(".")  # torch begins with a heading
        raise ConfigError(
            f"'{path}' does not match the model or the dataset ({reason}); "
            "use the dataset it was trained on, or start a new run"
        ) from error


def _is_count(value: object, least: int = 0) -> bool:
    return type(value) is int and least <= value <= _MOST_COUNTED


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _is_mean(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_tensors(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )


def _is_random_state(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() == 1 and value.element_size() == 1


def _is_metrics(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    last, unread = value.get("last_window_loss"), value.get("unread_losses")
    counts = (value.get(name) for name in ("epoch_correct", "unread_correct", "unread_images"))
    return (
        _is_mean(value.get("window_loss"))
        and _is_mean(value.get("epoch_loss"))
        and (last is None or _is_number(last))
        and isinstance(unread, list)
        and all(map(_is_number, unread))
        and all(map(_is_count, counts))
        and (not unread or value["unread_images"] > 0)
    )


def _is_best(value: object) -> bool:
    # -1 before the first validation
    return isinstance(value, dict) and all(_is_count(best, -1) for best in value.values())


def _is_provenance(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("backend"), str)


def _is_bool(value: object) -> bool:
    return type(value) is bool


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_are_tensors, "a state_dict"),
    "optimizer": (_is_dict, "a state_dict"),
    "steps": (_is_dict, "a state_dict"),
    "config": (_is_dict, "a set of settings"),
    "provenance": (_is_provenance, "a description of a run"),
    "class_names": (lambda value: class_names_in(value) is not None, "a list of names"),
    "scales": (lambda value: scales_in(value) is not None, "a set of scales"),
    "normalization": (lambda value: normalization_in(value) is not None, "a normalization"),
    "step": (_is_count, "a count"),
    "epoch": (lambda value: _is_count(value, 1), "a count from 1"),
    "batch": (_is_count, "a count"),
    "epoch_images": (_is_count, "a count"),
    "train_seconds": (_is_seconds, "a duration"),
    "metrics": (_is_metrics, "a set of metrics"),
    "best": (_is_best, "a result"),
    "epoch_done": (_is_bool, "true or false"),
    "validation_due": (_is_bool, "true or false"),
    "evaluation_due": (_is_bool, "true or false"),
    "epoch_rng_state": (_is_random_state, "a state of random numbers"),
    "rng_state": (_is_random_state, "a state of random numbers"),
    "cuda_rng_states": (
        lambda value: isinstance(value, list) and all(map(_is_random_state, value)),
        "a list of states of random numbers",
    ),
    "other_rng_states": (_is_dict, "a set of states of random numbers"),
}

_ADDED = {"other_rng_states", "normalization"}
"""What a `last.pt` may lack: without a net of the user's nothing draws from these generators, and before
there was a choice inputs were from -1 to 1."""
