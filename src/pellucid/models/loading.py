"""`pellucid.load`: from whatever names a model to a `Model`, by the trust tiers of its files."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import torch
from torch import nn

from pellucid.errors import CheckpointError, ModelError, SettingError
from pellucid.models import graph_files
from pellucid.models.architecture import Architecture
from pellucid.models.building import built_from, cached_weights, from_library, from_module, outputs_of
from pellucid.models.bundled import bundled
from pellucid.models.checkpoints import Weights, read_weights
from pellucid.models.fitting import fit
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.labels import class_names_of
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.seed import assumed_for, note_on_twin
from pellucid.models.sources import RANDOM, SEED, Source, forms, parse
from pellucid.models.unwrapping import first_not_finite, unwrapped

_BUNDLED = {
    "animals": "cat or dog, drawings only, told apart by all four parts of the face: the seed network at small width",
    "animals-shortcut": "the same, trained where a tag in the corner gives cats away: right for the wrong reason",
    "karate": "a graph network: which member of Zachary's karate club joins which side, told two of 34",
}
_RANDOM_NOTE = "the weights are random: what this model answers means nothing"


def load(
    source: str | Path | nn.Module | Model,
    *,
    weights: str | Path | None = None,
    architecture: str | nn.Module | None = None,
    trust: bool = False,
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | str | Path | None = None,
    device: str | torch.device | None = None,
    num_classes: int | None = None,
) -> Model:
    """Load a model.

    Args:
        source: A bundled name; `torchvision/NAME` or `timm/NAME`, with `@FILE` or `@random` for other weights than
            those in the library's own cache; `net.py:build`; a weights file, with `architecture`; a .safetensors file
            of `pellucid train` for graphs, or the model card beside it; or a module, which is never changed or copied.
        weights: The weights file, as an alternative to `@FILE`. With a module, they go into a copy of it.
        architecture: What a weights file belongs to: a module, or any source that builds one.
        trust: Whether foreign code may run: a Python file, a pickle of more than tensors, TorchScript, torch.export.
        preprocessing: How a picture becomes the input; None takes what the weights' metadata say, else it is assumed.
        class_names: The outputs' names, or a .json or .txt file with them; None takes what the metadata say.
        device: Where to put the model; None leaves it where it is.
        num_classes: Outputs of an architecture that pellucid builds; None means as its default weights have.

    Returns:
        The model. Its `notes` say what had to be done or assumed.

    Raises:
        UntrustedModelError: It would run foreign code, and `trust` was not given.
        CheckpointError: A weights file is missing, damaged, something else, or does not fit.
        ModelError: There is no such model, or it cannot be explained.
        SettingError: A setting makes no sense here.
        MissingExtraError: The library that knows the model is not installed.
    """
    place = _usable(device)
    if isinstance(source, Model):
        _refuse(
            "weights, architecture and num_classes",
            (weights, architecture, num_classes),
            "only with what is not yet a model",
        )
        _require_place(source.device, place)
        if preprocessing is not None:
            source = replace(source, preprocessing=preprocessing)
        return (
            source
            if class_names is None
            else replace(source, class_names=_named(class_names, outputs_of(source.module)))
        )
    if weights is not None and not isinstance(weights, str | Path):
        raise SettingError("weights", given=type(weights).__name__, expected="a path to a weights file")
    built = _with_weights(source, weights, architecture, trust=trust, num_classes=num_classes)
    return _finished(built, preprocessing, class_names, place)


def list_models() -> dict[str, str]:
    """The names that `load` knows by itself, each with a line about it."""
    return {
        **{name: _BUNDLED[name] for name in bundled()},
        SEED: "the seed network with random weights: 13 convolutions, two classes, pictures of 100×100",
    }


def _with_weights(
    source: object,
    weights: str | Path | None,
    architecture: object | None,
    *,
    trust: bool,
    num_classes: int | None,
) -> Architecture:
    if isinstance(source, str | Path):
        parsed = parse(source)
        if parsed.kind == "file":
            _refuse(
                "weights", (weights,), "only with an architecture as the source; here the source is the weights file"
            )
            return _from_file(cast(Path, parsed.file), architecture, trust=trust, num_classes=num_classes)
        _refuse("architecture", (architecture,), "only with a weights file as the source")
        if weights is not None and parsed.weights is not None:
            raise SettingError(
                "weights", given=str(weights), expected=f"nothing, since {parsed.shown!r} names them already"
            )
        chosen = parsed.weights if weights is None else _weights_file(weights)
        if isinstance(chosen, Path):
            read = read_weights(chosen, trust=trust)
            return _filled(built_from(parsed, read, trust=trust, num_classes=num_classes), read)
        return _with_its_own(parsed, chosen, trust=trust, num_classes=num_classes)
    if isinstance(source, nn.Module):
        _refuse("architecture", (architecture,), "only with a weights file as the source; a module is one already")
        _refuse("num_classes", (num_classes,), "only with an architecture that pellucid builds")
        chosen = None if weights is None else _weights_file(weights)
        if chosen == RANDOM:
            raise SettingError("weights", given=RANDOM, expected="a file, or nothing for the module's own weights")
        return (
            from_module(source)
            if chosen is None
            else _filled(from_module(source), read_weights(cast(Path, chosen), trust=trust))
        )
    if isinstance(source, type) and issubclass(source, nn.Module):
        raise ModelError(f"{source.__name__} is a class, expected an instance; call it: load({source.__name__}()).")
    if isinstance(source, Mapping):
        raise ModelError(
            "a state_dict was given, expected a module; load it into yours with load_state_dict and pass that, "
            "or save it and pass the file with architecture=."
        )
    raise ModelError(f"{type(source).__name__} is no model; expected an nn.Module or one of {forms()}.")


def _from_file(file: Path, architecture: object | None, *, trust: bool, num_classes: int | None) -> Architecture:
    if file.suffix == ".json":
        file = graph_files.weights_beside(file)
    read = read_weights(file, trust=trust)
    if architecture is None and graph_files.KEY in read.metadata:
        _refuse("num_classes", (num_classes,), "only with an architecture that pellucid sizes; this file says its own")
        return graph_files.architecture_of(read, file)
    if architecture is None:
        if read.module is None:
            count = len(read.state)
            raise CheckpointError(
                f"{file.name} holds {count} tensor{'s' * (count != 1)} but not the network they belong to; give the "
                "architecture: a module, 'torchvision/NAME', 'timm/NAME', 'xai' or 'net.py:build'."
            )
        module, notes = unwrapped(read.module)
        return Architecture(
            module=module.eval(), name=type(module).__name__, source=file.name, notes=read.notes + notes
        )
    if isinstance(architecture, str):
        parsed = parse(architecture)
        if parsed.kind == "file" or parsed.weights is not None:
            raise SettingError("architecture", given=architecture, expected="what builds a network, without weights")
        built = built_from(parsed, read, trust=trust, num_classes=num_classes)
    elif isinstance(architecture, nn.Module):
        _refuse("num_classes", (num_classes,), "only with an architecture that pellucid builds")
        built = from_module(architecture)
    else:
        name = architecture.__name__ if isinstance(architecture, type) else type(architecture).__name__
        raise SettingError("architecture", given=name, expected="an instance of nn.Module or a name")
    return _filled(built, read)


def _filled(built: Architecture, read: Weights) -> Architecture:
    """The architecture with weights in it; a module that is not ours is copied before."""
    notes = built.notes + read.notes
    if not built.ours:
        built = replace(built, module=copy.deepcopy(built.module).eval(), ours=True)
        notes += ("the weights went into a copy of the module; the one that was passed is as it was",)
    notes += fit(built, read)
    return replace(built, source=f"{built.source}@{read.file}", notes=notes)


def _with_its_own(
    parsed: Source, chosen: Literal["random"] | None, *, trust: bool, num_classes: int | None
) -> Architecture:
    """The model of a name with the weights that belong to the name, or with random ones."""
    if parsed.kind in ("torchvision", "timm") and chosen is None:
        cached = cached_weights(parsed)
        if cached.file is None:
            raise ModelError(
                f"no weights of {parsed.stem} on this machine, and pellucid never downloads: {cached.expected}. "
                f"Put them there, give a file ({parsed.stem}@FILE), or take {parsed.stem}@random."
            )
        read = read_weights(cached.file)
        built = from_library(parsed, num_classes=num_classes, trained=True)
        return replace(_filled(built, read), source=parsed.stem)
    if chosen == RANDOM and parsed.kind in ("bundled", "code"):
        raise SettingError(
            "weights", given=RANDOM, expected=f"a file, or nothing for what {parsed.stem!r} brings along"
        )
    built = built_from(parsed, None, trust=trust, num_classes=num_classes)
    if parsed.kind in ("bundled", "code"):
        return built
    return replace(built, source=f"{parsed.stem}@random", notes=(*built.notes, _RANDOM_NOTE))


def _finished(
    built: Architecture,
    preprocessing: Preprocessing | None,
    class_names: Sequence[str] | str | Path | None,
    place: torch.device | None,
) -> Model:
    """The model, on its device, with what was assumed said in its notes."""
    notes = built.notes + (note_on_twin(built.module) if built.preprocessing is None else ())
    names = built.class_names if class_names is None else _named(class_names, built.outputs)
    if preprocessing is None and built.preprocessing is None:
        preprocessing, note = assumed_for(built.module)
        notes += () if takes_graphs(built.module) else (note,)
    elif preprocessing is None:
        preprocessing = built.preprocessing
    elif built.preprocessing is not None and _values(preprocessing) != _values(built.preprocessing):
        notes += (
            f"the preprocessing is as you said; {built.preprocessing.source} say: {built.preprocessing.describe()}",
        )
    if built.ours and place is not None:
        built.module.to(place)
    bad = first_not_finite(built.module)
    model = Model(
        module=built.module,
        name=built.name,
        preprocessing=cast(Preprocessing, preprocessing),
        class_names=names,
        source=built.source,
        notes=notes if bad is None else (*notes, bad),
        card=built.card,
    )
    _require_place(model.device, place)
    return model


def _values(preprocessing: Preprocessing) -> Preprocessing:
    return replace(preprocessing, source="")


def _named(class_names: Sequence[str] | str | Path, outputs: int | None) -> tuple[str, ...]:
    names = class_names_of(class_names)
    if outputs is not None and len(names) != outputs:
        raise ModelError(f"{len(names)} class names were given, expected {outputs}: one for each output of the model.")
    return names


def _weights_file(weights: str | Path) -> Path | Literal["random"]:
    return "random" if weights == RANDOM else Path(weights).expanduser()


def _refuse(names: str, values: tuple[object, ...], when: str) -> None:
    given = [value for value in values if value is not None]
    if given:
        shown = given[0] if isinstance(given[0], str | int) else type(given[0]).__name__
        raise SettingError(names, given=shown, expected=f"nothing: it makes sense {when}")


def _usable(device: str | torch.device | None) -> torch.device | None:
    if device is None:
        return None
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise SettingError("device", given=device, expected="a device of torch, as 'cpu' or 'cuda:0'") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (place.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }.get(place.type)
    if place.type == "meta" or there is False:
        found = ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
        raise SettingError(
            "device", given=str(place), expected=f"one that is here ({found})", hint="leave it out to stay put"
        )
    return place


def _require_place(here: torch.device, place: torch.device | None) -> None:
    if place is not None and (here.type, here.index or 0) != (place.type, place.index or 0):
        hint = f"pellucid never moves a module that is yours: call module.to('{place}') first"
        raise SettingError("device", given=str(place), expected=f"{here}, where the module is", hint=hint)
