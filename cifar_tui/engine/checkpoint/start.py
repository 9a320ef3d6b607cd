"""Start a net from the weights in a file, whose classes may be others."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from cifar_tui.engine.checkpoint.classes import class_names_of_run
from cifar_tui.engine.checkpoint.weights import load_into, load_weights, notes_on, unwrapped_states
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.own.name import short_model
from cifar_tui.engine.models.recognize import compare_to, template_of
from cifar_tui.engine.models.source import ModelSource


def start_from(
    path: Path,
    net: nn.Module,
    source: ModelSource,
    class_names: Sequence[str],
    *,
    classes_of_file: Sequence[str] | None = None,
) -> str:
    """Give `net` the weights in the file at `path`, without those of the last layer if it has other classes.

    Args:
        path: the file; see `load_weights`.
        net: freshly initialized, on the CPU.
        source: what made it.
        class_names: those of the dataset.
        classes_of_file: what the logits in the file stand for; None for what it, or its run, says.

    Returns:
        What was done, in a sentence.

    Raises:
        ConfigError: the file cannot be read, does not fit the net, or has weights that are not finite.
    """
    file = load_weights(path)
    template = template_of(net)
    compared = [
        (unwrapped, compare_to(template, source.model, unwrapped.tensors))
        for unwrapped in unwrapped_states(file, source)
    ]
    fits = [(unwrapped, comparison) for unwrapped, comparison in compared if not comparison.difference]
    if not fits:
        _, best = max(compared, key=lambda pair: pair[1].alike)
        raise ConfigError(
            f"weights '{path}' do not match the model {short_model(source.model)}: {best.difference}; set "
            "weights to a file of this model",
            field="weights",
        )
    taken, comparison = fits[0]
    names = classes_of_file or file.class_names or class_names_of_run(path.parent)
    same = comparison.num_classes == len(class_names) and (
        names is None or tuple(names) == tuple(class_names)
    )
    fresh = bool(template.head) and not same
    tensors = {
        name: tensor for name, tensor in taken.tensors.items() if not fresh or name not in template.head
    }
    load_into(net, tensors, path)
    notes = [] if file.own else notes_on(taken, [])
    said = "; ".join([f"starting from the weights in '{path}'", *notes])
    if not fresh:
        return said
    classes, ours = comparison.num_classes, len(class_names)
    others = (
        "other classes than the dataset" if classes == ours else f"{classes:,} classes, the dataset {ours:,}"
    )
    return f"{said}; it has {others}: the last layer {template.layer} starts fresh"
