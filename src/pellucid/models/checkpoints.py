"""Weights files, by what they can do to the reader.

    T0 data         safetensors                 read as they are
    T1 restricted   torch.save files            torch.load(weights_only=True), always said explicitly
    T2 code         pickles of whole objects,   only with trust; otherwise refused, and never tried in a second,
                    TorchScript, torch.export   unsafe way

What a file is, its first bytes and its list of members say; the suffix is not believed.
"""

import hashlib
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pellucid.errors import CheckpointError, with_article
from pellucid.models.file_kinds import kind_of
from pellucid.models.python_files import refuse_untrusted

# What a file of tensors alone names. Anything else in a pickle is code that unpickling would import and call.
_PLAIN = re.compile(
    r"collections OrderedDict|torch \w+Storage|torch (Size|device|Tensor|[a-z]+\d*(_e\dm\d\w*)?)|torch\.storage \w+"
    r"|torch\._utils _rebuild_\w+|torch\._tensor _rebuild_from_type_v2|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout"
)
_NESTS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights",
    "checkpoint", "ema", "ema_state_dict", "state_dict_ema", "model_ema", "teacher", "student",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a weights file holds.

    Attributes:
        file: The file's name without folders.
        state: Tensors by name.
        versions: What torch keeps beside a state_dict about the versions of its modules; None where the file has none.
        module: A whole module, where a trusted pickle held one.
        notes: What had to be done to get at the tensors.
        metadata: What a safetensors file says about itself; empty for others.
    """

    file: str
    state: dict[str, Tensor]
    versions: dict[str, Any] | None = None
    module: nn.Module | None = None
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_weights(path: Path, *, trust: bool = False) -> Weights:
    """Read a weights file by its trust tier.

    Args:
        path: The file.
        trust: Whether the user said that code in it may run.

    Raises:
        UntrustedModelError: It would run code and `trust` was not given; nothing was run.
        CheckpointError: It is missing, damaged, something else, or holds no tensors.
    """
    kind = kind_of(path)
    if kind == "safetensors":
        try:
            with safe_open(path, framework="pt") as opened:
                metadata = opened.metadata() or {}
            return Weights(file=path.name, state=load_file(path, device="cpu"), metadata=metadata)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path.name} is damaged ({_first_line(error)}), expected whole safetensors."
            ) from error
    if kind in ("torchscript", "exported"):
        return _read_program(path, kind, trust)
    return _found_in(_read_plain_pickle(path, trust) if kind == "pickle" else _read_pickle(path, trust), path.name)


def _read_pickle(path: Path, trust: bool) -> tuple[object, tuple[str, ...]]:
    try:
        foreign = sorted(name for name in _names_in(path) if not _PLAIN.fullmatch(name))
    except Exception as error:  # a damaged pickle can fail anywhere in the standard library's disassembler
        raise _damaged(path, error) from error
    unrestricted = trust and bool(foreign)
    try:
        with _quiet():
            # Always said explicitly: TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD overrides only what is left to the default.
            content = torch.load(path, map_location="cpu", weights_only=not unrestricted)
    except pickle.UnpicklingError as error:
        if unrestricted:
            raise _damaged(path, error) from error
        named = ", ".join(name.replace(" ", ".") for name in foreign[:3]) or "something that is no tensor"
        reason = f"the pickle names {named}, which unpickling would import and could call"
        raise refuse_untrusted(path.name, reason=reason, sha256=sha256_of(path)) from error
    except Exception as error:
        if unrestricted:
            hint = "the code that it names must be importable; better save model.state_dict() alone"
            raise CheckpointError(f"{path.name} cannot be unpickled ({_first_line(error)}); {hint}.") from error
        raise _damaged(path, error) from error
    if not unrestricted:
        return content, ()
    named = ", ".join(name.replace(" ", ".") for name in foreign[:3])
    return content, (f"{path.name} was unpickled without restriction, because trust was given (it names {named})",)


def _read_plain_pickle(path: Path, trust: bool) -> tuple[object, tuple[str, ...]]:
    if not trust:
        raise refuse_untrusted(
            path.name, reason="it is a plain Python pickle, which can run code", sha256=sha256_of(path)
        )
    try:
        with _quiet(), path.open("rb") as stream:
            content = pickle.load(stream)  # this is what trust=True is for
    except Exception as error:
        raise CheckpointError(f"{path.name} cannot be unpickled ({_first_line(error)}); use torch.save.") from error
    return content, (f"{path.name} is a plain pickle and was unpickled, because trust was given",)


def _read_program(path: Path, kind: str, trust: bool) -> Weights:
    what = "a TorchScript archive" if kind == "torchscript" else "a torch.export program"
    if not trust:
        raise refuse_untrusted(path.name, reason=f"{what} carries code of its own", sha256=sha256_of(path))
    try:
        with _quiet():
            if kind == "torchscript":
                script: Any = torch.jit
                state = _tensors(script.load(path, map_location="cpu").state_dict())
            else:
                state = _tensors(torch.export.load(path).state_dict)
    except Exception as error:
        raise _damaged(path, error) from error
    note = f"{path.name} is {what}; because trust was given, its weights were taken, its code is not used"
    return Weights(file=path.name, state=state, notes=(note,))


def _found_in(read: tuple[object, tuple[str, ...]], file: str) -> Weights:
    content, notes = read
    steps: list[str] = []
    while isinstance(content, Mapping):
        nest = _nest_of(content)
        if nest is None:
            break
        steps.append(nest)
        others = [str(key) for key in content if key != nest]
        beside = f" (beside it: {', '.join(others[:6])}{', …' if len(others) > 6 else ''})" if others else ""
        notes += (f"the weights were found in {'/'.join(steps)!r} of {file}{beside}",)
        content = content[nest]
    if isinstance(content, nn.Module):
        return Weights(file=file, state=_tensors(content.state_dict()), module=content, notes=notes)
    state = _tensors(content) if isinstance(content, Mapping) else {}
    if not isinstance(content, Mapping) or not state:
        found = with_article(type(content).__name__)
        if isinstance(content, Mapping):
            found = f"a dict with {', '.join(map(str, list(content)[:6]))}" if content else "an empty dict"
        raise CheckpointError(f"{file} holds {found}, expected tensors by name; save model.state_dict().")
    skipped = [str(key) for key in content if str(key) not in state]
    if skipped:
        notes += (f"{len(skipped)} entries of {file} are no tensors and were left out: {', '.join(skipped[:4])}",)
    return Weights(file=file, state=state, versions=getattr(content, "_metadata", None), notes=notes)


def _nest_of(content: Mapping[Any, Any]) -> str | None:
    def holds(value: object) -> bool:
        return isinstance(value, nn.Module) or (
            isinstance(value, Mapping) and (bool(_tensors(value)) or any(holds(inner) for inner in value.values()))
        )

    known = next((key for key in _NESTS if holds(content.get(key))), None)
    if known is not None or _tensors(content):
        return known
    # An optimizer's state is a dict of dicts of tensors too, but no model.
    rest = [key for key, value in content.items() if isinstance(key, str) and "optim" not in key and holds(value)]
    return rest[0] if len(rest) == 1 else None


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {key: value.detach() for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _names_in(path: Path) -> set[str]:
    """The "module name" pairs in a torch.save file, read from its opcodes; nothing is imported or called."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"  # as torch decides it; a file may be a zip archive at its end only
    if zipped:
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.split("/", 1)[-1] == "data.pkl")
            with archive.open(member) as stream:
                return _names_in_pickle(stream)
    names: set[str] = set()
    with path.open("rb") as stream:
        # The old format is five pickles in a row: magic number, version, machine, content, keys of the storages.
        for _ in range(5):
            names |= _names_in_pickle(stream)
    return names


def _names_in_pickle(stream: IO[bytes]) -> set[str]:
    names: set[str] = set()
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            names.add(str(argument))
        elif opcode.name == "STACK_GLOBAL":
            names.add(" ".join(texts[-2:]))
        elif isinstance(argument, str):
            texts = [*texts[-1:], argument]
    return names


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is damaged or cut short at {path.stat().st_size:,} bytes ({_first_line(error)}), "
        "expected a whole torch.save file; fetch it again."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    # torch warns about the age of formats; the user chose neither the format nor the call.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
