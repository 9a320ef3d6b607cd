"""Load weights as people save them: wrapped, prefixed, in another precision or format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from cifar_tui.engine.checkpoint.files import all_finite, load_file
from cifar_tui.engine.checkpoint.state import missing_in
from cifar_tui.engine.checkpoint.trained_on import TrainedOn, trained_on_in
from cifar_tui.engine.data.cifar10 import CLASS_NAMES
from cifar_tui.engine.data.class_names import listed, saved_class_names
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.models.check import count_logits
from cifar_tui.engine.models.load import library_model
from cifar_tui.engine.models.own.name import FORM, short_model
from cifar_tui.engine.models.own.own_net import OwnNet
from cifar_tui.engine.models.published.names import FORM as PUBLISHED
from cifar_tui.engine.models.recognize import (
    BATCH_COUNTER,
    STATE_DICT_KEYS,
    closest,
    compare,
    first_difference,
    fitting_models,
)
from cifar_tui.engine.models.registry import MODELS
from cifar_tui.engine.models.source import ModelSource
from cifar_tui.engine.text import cut

_DEPTH = 4
_COMPILED = "_orig_mod"
_AVERAGED = "n_averaged"
_SHOWN_NAME = 60


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateDict:
    """A `state_dict` in a file, without what was wrapped around it.

    Attributes:
        tensors: by the model's names.
        where: the keys that lead to it.
        notes: what was taken off, in words.
    """

    tensors: dict[str, Tensor]
    where: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WeightsFile:
    """The content of a file of weights.

    Attributes:
        path: of the file.
        found: each `state_dict` in it, the one to take first.
        class_names: the names in it of what its logits stand for; None without any.
        trained_on: what it says of the images of the training; None if it does not say.
        own: whether it is the `last.pt` of a run.
    """

    path: Path
    found: tuple[StateDict, ...]
    class_names: tuple[str, ...] | None
    trained_on: TrainedOn | None
    own: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RecognizedWeights:
    """Weights that fit a model.

    Attributes:
        path: of their file.
        source: what makes the model.
        num_classes: number of logits.
        image_size: height and width of the images that it is built for, in pixels.
        class_names: the names in the file of what the logits stand for; None without any.
        trained_on: what the file says of the images of the training; None if it does not say.
        tensors: the `state_dict` of the model.
        notes: what was done to get it, in words, and what else there was.
        net: one that is built already, whose weights `build_net` replaces; None without.
    """

    path: Path
    source: ModelSource
    num_classes: int
    image_size: int
    class_names: tuple[str, ...] | None
    trained_on: TrainedOn | None
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    net: nn.Module | None = None


def load_weights(path: Path) -> WeightsFile:
    """Load the weights in `path`: a plain `state_dict`, one inside other mappings, or safetensors.

    Raises:
        ConfigError: the file cannot be read, is not a checkpoint, is damaged, or could run code.
    """
    content = load_file(path)
    own = isinstance(content, Mapping) and not missing_in(content)
    found = tuple(_state_dicts(content))
    if not found:
        raise ConfigError(f"'{path}' contains no state_dict; save one with torch.save(net.state_dict(), …)")
    return WeightsFile(
        path=path,
        found=found[:1] if own else found,
        class_names=saved_class_names(content),
        trained_on=trained_on_in(content) if own and isinstance(content, Mapping) else None,
        own=own,
    )


def recognize(file: WeightsFile, source: ModelSource | None, *, image_size: int) -> RecognizedWeights:
    """Find the `state_dict` in `file` that fits a model that is no user's.

    Args:
        file: the weights.
        source: what makes the only model allowed; None for any registered one that fits.
        image_size: height and width of the images that it was trained on.

    Raises:
        ConfigError: none fits, or several models do; or the weights are not finite.
    """
    models = MODELS if source is None else [source.model]
    fits = [
        (unwrapped, name)
        for unwrapped in unwrapped_states(file, source)
        for name in fitting_models(unwrapped.tensors, models, image_size=image_size)
    ]
    if not fits:
        raise ConfigError(_refusal(file, source, image_size))
    taken, name = fits[0]
    several = list(dict.fromkeys(other for unwrapped, other in fits if unwrapped is taken))
    if len(several) > 1:
        raise ConfigError(
            f"'{file.path}' fits several models, {', '.join(several)}: choose one with --set model=…"
        )
    num_classes = compare(name, taken.tensors, image_size=image_size).num_classes
    notes = [] if file.own else notes_on(taken, [other for other, _ in fits if other.where != taken.where])
    if source is None:
        notes.append(f"model {name}, by its names and shapes")
    return RecognizedWeights(
        path=file.path,
        source=source or library_model(name),
        num_classes=num_classes,
        image_size=image_size,
        class_names=file.class_names,
        trained_on=file.trained_on,
        tensors=taken.tensors,
        notes=tuple(notes),
    )


def recognize_own(
    file: WeightsFile, own: OwnNet, num_classes: int | None, *, image_size: int
) -> RecognizedWeights:
    """Find the `state_dict` in `file` that fits the net that `own` makes, which is built once.

    Args:
        file: the weights.
        own: the net of the user's.
        num_classes: that it was trained on; None if the shape of the last tensor has to tell.
        image_size: height and width of the images that it was trained on.

    Raises:
        ConfigError: none fits, or the net cannot be built or run.
    """
    if num_classes is None:
        rows = [tensor.shape[0] for tensor in file.found[0].tensors.values() if tensor.ndim]
        num_classes = rows[-1] if rows else len(CLASS_NAMES)
    net = own.build(num_classes=num_classes, image_size=image_size)
    expected = net.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    dtypes = {name: tensor.dtype for name, tensor in expected.items()}
    candidates = [
        (unwrapped, first_difference(shapes, dtypes, unwrapped.tensors))
        for unwrapped in unwrapped_states(file, own)
    ]
    fits = [unwrapped for unwrapped, difference in candidates if not difference]
    if not fits:
        alike = [len(shapes.keys() & unwrapped.tensors.keys()) for unwrapped, _ in candidates]
        raise ConfigError(
            f"'{file.path}' does not match the model {short_model(own.model)}: "
            f"{candidates[alike.index(max(alike))][1]}; use the file that it was trained with"
        )
    others = [other for other in fits if other.where != fits[0].where]
    return RecognizedWeights(
        path=file.path,
        source=own,
        num_classes=count_logits(own, net, image_size),
        image_size=image_size,
        class_names=file.class_names,
        trained_on=file.trained_on,
        tensors=fits[0].tensors,
        notes=() if file.own else tuple(notes_on(fits[0], others)),
        net=net,
    )


def build_net(weights: RecognizedWeights) -> nn.Module:
    """Build the model with `weights`, converted to the types it computes in.

    Raises:
        ConfigError: the weights are not finite.
    """
    net = weights.net
    if net is None:
        net = weights.source.build(num_classes=weights.num_classes, image_size=weights.image_size)
    load_into(net, weights.tensors, weights.path)
    return net


def load_into(net: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give `net` those of its weights that are in `tensors`, from the file at `path`, in its own types.

    Raises:
        ConfigError: they are not finite.
    """
    state = net.state_dict()  # which says the versions of the modules too
    for name, tensor in state.items():
        state[name] = tensors.get(name, tensor).to(tensor.dtype)
        if not all_finite(state[name]):
            bad = int((~state[name].isfinite()).sum())
            raise ConfigError(
                f"'{path}' has weights that are not finite ({name}: {bad:,} of {tensor.numel():,}), so there "
                "is no accuracy; use an earlier checkpoint"
            )
    net.load_state_dict(state)


def _state_dicts(content: object) -> Iterator[StateDict]:
    """Yield each `state_dict` in `content`: those under the usual keys first, then those under others."""
    seen: set[int] = set()
    for found in [*_nested(content, (), _DEPTH), *_under_other_keys(content)]:
        if id(found[1]) not in seen:
            seen.add(id(found[1]))
            state_dict = _as_state_dict(*found)
            if state_dict is not None:
                yield state_dict


def _nested(
    content: object, where: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Mapping[object, object]]]:
    """Yield the mappings under the usual keys, and `content` itself last."""
    if not isinstance(content, Mapping):
        return
    for key in STATE_DICT_KEYS if depth else ():
        yield from _nested(content.get(key), (*where, key), depth - 1)
    yield where, content


def _under_other_keys(content: object) -> Iterator[tuple[tuple[str, ...], Mapping[object, object]]]:
    for key, value in content.items() if isinstance(content, Mapping) else ():
        if isinstance(key, str) and key not in STATE_DICT_KEYS:
            yield from _nested(value, (key,), _DEPTH)


def _as_state_dict(where: tuple[str, ...], content: Mapping[object, object]) -> StateDict | None:
    """Return the tensors of `content`, if they have names and are not a few among other things."""
    tensors = {
        name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)
    }
    others = [str(name) for name in content if name not in tensors]
    if not tensors or len(others) > len(tensors):
        return None
    notes = (f"without {listed(others)}, which are no tensors",) if others else ()
    return StateDict(tensors=tensors, where=where, notes=notes)


def unwrapped_states(file: WeightsFile, source: ModelSource | None) -> Iterator[StateDict]:
    """Yield each `state_dict` in `file`, as it is and without prefixes, by the names that `source` knows."""
    for found in file.found:
        for unwrapped in _unwrapped(found):
            tensors, notes = (unwrapped.tensors, ()) if source is None else source.renamed(unwrapped.tensors)
            yield StateDict(tensors=tensors, where=unwrapped.where, notes=(*unwrapped.notes, *notes))


def _unwrapped(found: StateDict) -> Iterator[StateDict]:
    """Yield `found` as it is, then without the first part of its names as often as all share one.

    The first that fits a model is right, so that no part is taken off that the model itself has.
    """
    yield found
    tensors, notes = found.tensors, list(found.notes)
    plain = {".".join(part for part in name.split(".") if part != _COMPILED): name for name in tensors}
    if len(plain) == len(tensors) and plain.keys() != tensors.keys():
        tensors = {name: tensors[original] for name, original in plain.items()}
        notes.append(f"without '{_COMPILED}.'")
        yield StateDict(tensors=tensors, where=found.where, notes=tuple(notes))
    removed = ""
    while True:
        if _AVERAGED in tensors and len(tensors) > 1:
            tensors = {name: tensor for name, tensor in tensors.items() if name != _AVERAGED}
            notes.append(f"averaged weights, without '{_AVERAGED}'")
        prefixes = {name.partition(".")[0] for name in tensors}
        if len(prefixes) != 1 or not all("." in name for name in tensors):
            return
        prefix = f"{prefixes.pop()}."
        removed += prefix
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        said = f"without '{cut(removed, _SHOWN_NAME)}' before every name"
        yield StateDict(tensors=tensors, where=found.where, notes=(*notes, said))


def notes_on(taken: StateDict, others: list[StateDict]) -> list[str]:
    """Say in words what was taken and how, as parts of a sentence; none for a plain `state_dict`."""
    notes = [f"the state_dict in {_quoted(taken.where)}"] if taken.where else []
    unused = sorted({_quoted(other.where) for other in others})
    if unused:
        notes[-1:] = [f"{notes[-1] if notes else 'the state_dict outside'}, not that in {listed(unused)}"]
    notes += taken.notes
    floating = (tensor.dtype for tensor in taken.tensors.values() if tensor.is_floating_point())
    converted = sorted({str(dtype).removeprefix("torch.") for dtype in floating} - {"float32"})
    if converted:
        notes.append(f"converted from {', '.join(converted)} to float32")
    if any(
        name.endswith(BATCH_COUNTER)
        and not tensor.any()
        and not taken.tensors.get(f"{name.removesuffix(BATCH_COUNTER)}running_mean", tensor).any()
        for name, tensor in taken.tensors.items()
    ):
        notes.append("with normalization statistics that no training has updated")
    return notes


def _refusal(file: WeightsFile, source: ModelSource | None, image_size: int) -> str:
    """Say which name or shape keeps `file` from fitting."""
    states = list(unwrapped_states(file, source))
    models = MODELS if source is None else [source.model]
    best = max(
        (closest(unwrapped.tensors, models, image_size=image_size) for unwrapped in states),
        key=lambda comparison: comparison.alike,
    )
    if source is None:
        return (
            f"'{file.path}' fits no model; the closest is {best.model}, but {best.difference}. "
            f"The models are {', '.join(MODELS)}; for another one, add --set model={PUBLISHED}, or "
            f"model={FORM} for a net of your own"
        )
    fitting = [
        name for unwrapped in states for name in fitting_models(unwrapped.tensors, image_size=image_size)
    ]
    hint = f"the models are {', '.join(MODELS)}, {PUBLISHED} and {FORM}"
    if fitting:
        hint = f"use --set model={fitting[0]}"
    return f"'{file.path}' does not match the model {source.model}: {best.difference}; {hint}"


def _quoted(where: tuple[str, ...]) -> str:
    return "'" + "' in '".join(reversed([cut(key, _SHOWN_NAME) for key in where])) + "'"
