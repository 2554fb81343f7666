"""How the sites of a trace become JSON rows and arrays, and sites again."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.capture.receptive_field import ReceptiveField
from pellucid.capture.sites import Site
from pellucid.capture.statistics import Statistics


def row_of(site: Site) -> dict[str, Any]:
    """Everything but the values, in JSON types."""
    field = site.receptive_field
    return {
        "name": site.name,
        "index": site.index,
        "op": site.op,
        "kind": site.kind,
        "inputs": list(site.inputs),
        "settings": {name: value if _is_json(value) else str(value) for name, value in site.settings.items()},
        "shape": list(site.shape),
        "dtype": site.dtype,
        "parameters": site.parameters,
        "multiply_adds": site.multiply_adds,
        "seconds": site.seconds,
        "receptive_field": None if field is None else asdict(field),
        "channels_first": site.channels_first,
        "statistics": None if site.statistics is None else asdict(site.statistics),
    }


def site_of(row: Mapping[str, Any], values: Any) -> Site:
    """The site of a row."""
    field, statistics = row["receptive_field"], row["statistics"]
    if statistics is not None and statistics["histogram"] is not None:
        statistics = {**statistics, "histogram": tuple(statistics["histogram"])}
    if statistics is not None:
        statistics = {
            k: float("nan") if v is None and k in ("mean", "std", "zeros") else v for k, v in statistics.items()
        }
    return Site(
        **{
            **row,
            "inputs": tuple(row["inputs"]),
            "shape": tuple(row["shape"]),
            "receptive_field": None if field is None else ReceptiveField(**{k: tuple(v) for k, v in field.items()}),
            "statistics": None if statistics is None else Statistics(**statistics),
            "settings": {name: _tuples(value) for name, value in row["settings"].items()},
            "values": None if values is None else tensor_of(values, row["dtype"], row["shape"]),
        }
    )


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _tuples(value: Any) -> Any:
    """JSON has lists only; settings are tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def word_of(dtype: torch.dtype) -> str:
    """The name of a type, e.g. "float32"."""
    return str(dtype).removeprefix("torch.")


def array_of(values: Tensor) -> np.ndarray:
    """Values as an array that loses nothing."""
    values = values.detach().cpu()
    # numpy has no bfloat16 and no float8; float32 holds both exactly.
    exact = (torch.float16, torch.float32, torch.float64)
    return (values.float() if values.is_floating_point() and values.dtype not in exact else values).numpy()


def tensor_of(values: np.ndarray, dtype: str, shape: Sequence[int]) -> Tensor:
    """Values as they were before `array_of`."""
    # The archive's arrays have one dimension or more; a number comes back as one by its shape.
    return torch.from_numpy(values).to(getattr(torch, dtype)).reshape(tuple(shape))
