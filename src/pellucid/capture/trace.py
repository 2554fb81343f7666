"""A trace: the dataflow graph of one forward pass, with the values or the statistics of every site."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pellucid import archive
from pellucid.capture import knowledge, passes
from pellucid.capture.batches import as_batch, as_graph
from pellucid.capture.saving import array_of, row_of, site_of, tensor_of, word_of
from pellucid.capture.sites import Site, select_all, select_one
from pellucid.errors import ArchiveError, CapacityError, SettingError
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model

Keep = Literal["values", "statistics", "full"]
LIMIT = 4_000_000_000
SUMMARY: Mapping[Keep, Literal["none", "basic", "full"]] = {"values": "none", "statistics": "basic", "full": "full"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """The sites of one forward pass, in order of execution.

    `trace["features.20"]` is one site; selectors are an exact name, a container's name (its last site), a glob,
    `kind:conv`, `last:conv` and `@12`. A trace owns its memory and holds no live model.

    Attributes:
        sites: All sites, in order.
        aliases: Containers and the sites that they stand for.
        model: The model's name.
        weights_digest: SHA-256 over the model's parameters and buffers.
        input_shape: Shape of the prepared batch.
        output: What the model returned if that was one tensor, else None.
        keep: What was kept: "values", "statistics" or "full" statistics.
        seconds: How long the pass took.
    """

    sites: tuple[Site, ...]
    aliases: Mapping[str, str]
    model: str
    weights_digest: str
    input_shape: tuple[int, ...]
    output: Tensor | None
    keep: Keep
    seconds: float

    def __getitem__(self, selector: str) -> Site:
        """The one site that a selector means.

        Raises:
            SiteError: None or several match; names the nearest.
        """
        return select_one(selector, self.sites, self.aliases)

    def select(self, *selectors: str) -> tuple[Site, ...]:
        """All sites that any selector means, each once, in order of execution."""
        return tuple(select_all(selectors, self.sites, self.aliases))

    def __contains__(self, name: object) -> bool:
        return any(site.name == name for site in self.sites) or name in self.aliases

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def nbytes(self) -> int:
        """Bytes of all kept values."""
        return sum(site.nbytes for site in self.sites if site.values is not None)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the whole pass."""
        return sum(site.multiply_adds for site in self.sites)

    @property
    def not_finite(self) -> Site | None:
        """The first site with NaN or infinity among its values; None if all are finite."""
        for site in self.sites:
            if site.statistics is not None and site.statistics.not_finite:
                return site
            if site.values is not None and not bool(torch.isfinite(site.values).all()):
                return site
        return None

    def rows(self) -> list[dict[str, Any]]:
        """One JSON-ready row per site: everything but the values."""
        return [row_of(site) for site in self.sites]

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Trace.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        record, arrays = self.to_record()
        return archive.write(path, kind="trace", record=record, arrays=arrays)

    def to_record(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As JSON types, and the arrays that belong to them."""
        arrays = {f"site {s.index}": array_of(s.values) for s in self.sites if s.values is not None}
        if self.output is not None:
            arrays["output"] = array_of(self.output)
        record = {
            "output": None if self.output is None else [word_of(self.output.dtype), list(self.output.shape)],
            "sites": self.rows(),
            "aliases": dict(self.aliases),
            "model": self.model,
            "weights_digest": self.weights_digest,
            "input_shape": self.input_shape,
            "keep": self.keep,
            "seconds": self.seconds,
        }
        return record, arrays

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read a saved trace; values come back as they were, settings that are no JSON as text.

        Raises:
            ArchiveError: The files are missing, damaged or no trace.
        """
        record, arrays = archive.read(path, kind="trace")
        kind: type[Trace] = Trace
        if "graph" in record:
            from pellucid.capture.graph_trace import GraphTrace

            kind = GraphTrace
        try:
            return kind(**kind._fields_of(record, arrays))
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise ArchiveError(f"{path} is no complete trace ({error!r}); trace again and save it.") from error

    @classmethod
    def _fields_of(cls, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        """What the constructor takes, from what `to_record` gave."""
        return {
            "sites": tuple(site_of(row, arrays.get(f"site {row['index']}")) for row in record["sites"]),
            "aliases": record["aliases"],
            "model": record["model"],
            "weights_digest": record["weights_digest"],
            "input_shape": tuple(record["input_shape"]),
            "output": None if record["output"] is None else tensor_of(arrays["output"], *record["output"]),
            "keep": record["keep"],
            "seconds": record["seconds"],
        }

    def __repr__(self) -> str:
        first, last = (self.sites[0].name, self.sites[-1].name) if self.sites else ("none", "none")
        size = f"keep={self.keep!r}, {self.nbytes / 1e6:.1f} MB"
        return f"<Trace of {self.model}: {len(self)} site{'s' * (len(self) != 1)}, {first} … {last}, {size}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{word}</th>" for word in ("site", "operation", "shape", "sees, px", "multiply-adds"))
        body = "".join(
            f"<tr><td><code>{escape(s.name)}</code></td><td>{escape(s.op)}</td><td>{' × '.join(map(str, s.shape))}</td>"
            f"<td>{'' if s.receptive_field is None else s.receptive_field.size[0]}</td>"
            f"<td>{s.multiply_adds:,}</td></tr>"
            for s in self.sites
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def trace(
    model: Model | nn.Module | str,
    input: Any,
    *,
    sites: str | Iterable[str] | None = None,
    keep: Keep = "values",
    limit: int = LIMIT,
) -> Trace:
    """Run one forward pass and record every site.

    The model is run in eval mode and left exactly as it was. A `torch.nn` leaf is a site at each call, also where it
    hands its input through (dropout in eval mode, `Identity`, `Flatten`); functional calls are sites where they make
    new values.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes.
        input: For a model of pictures an `Image`, a list of them, what `pellucid.read` takes, or a prepared float
            tensor (batch, channels, height, width); for a model of graphs a `Graph`, or what `pellucid.read` takes.
        sites: Whose values to keep: one selector or several; None means all. Every site is listed in any case.
        keep: "values"; or "statistics": no maps, but mean, std, zeros and non-finite count of every site; or "full":
            also least, greatest and histogram.
        limit: Most bytes of values to keep.

    Returns:
        The trace; of a graph a `GraphTrace`, which also has the steps of every node.

    Raises:
        SiteError: A selector matches nothing.
        CapacityError: The values would take more than `limit` bytes; says how much and the way out.
        InputError, ModelError: The picture or the model cannot be used.
    """
    if keep not in get_args(Keep):
        raise SettingError("keep", given=keep, expected="'values', 'statistics' or 'full'")
    loaded = load(model)
    if takes_graphs(loaded.module):
        from pellucid.capture.graph_trace import trace_graph

        return trace_graph(loaded, as_graph(loaded, input), sites=sites, keep=keep, limit=limit)
    loaded, batch, _ = as_batch(loaded, input)
    known = passes.facts(loaded.module, batch)
    for attempt in ("first", "last"):
        chosen = known.sites if sites is None else select_all(sites, known.sites, known.aliases)
        if keep == "values":
            check_size(chosen, items=len(batch), limit=limit)
        names = {site.name for site in chosen}
        started = time.perf_counter()
        recorder, output = passes.record(
            loaded.module,
            batch,
            wants=(lambda name, *_, names=names: name in names) if keep == "values" else None,
            statistics=SUMMARY[keep],
        )
        seconds = time.perf_counter() - started
        if attempt == "last" or knowledge.agrees(known, recorder):
            break
        # The model chose another way for this batch than for its first picture; what is wanted is chosen anew.
        knowledge.forget(loaded.module)
        known = knowledge.remember(loaded.module, batch, recorder, output)
    return Trace(
        sites=recorder.sites(),
        aliases=dict(recorder.aliases),
        model=loaded.name,
        weights_digest=loaded.weights_digest,
        input_shape=tuple(batch.shape),
        output=output.detach() if isinstance(output, Tensor) else None,
        keep=keep,
        seconds=seconds,
    )


def size_of(sites: Sequence[Site], *, items: int) -> int:
    """Bytes that the values of some sites take for a batch of `items`, from facts about one item."""
    return sum(site.nbytes for site in sites) * items


def check_size(sites: Sequence[Site], *, items: int, limit: int, what: str = "picture") -> None:
    """Refuse to keep more than a limit.

    Raises:
        CapacityError: The values of the sites would take more; says how much and the way out.
    """
    wanted = size_of(sites, items=items)
    if wanted > limit:
        fewer = f"trace fewer {what}s, " if items > 1 else ""
        raise CapacityError(
            f"the values of {len(sites)} site{'s' * (len(sites) != 1)} for {items} {what}{'s' * (items > 1)} take "
            f"{_size(wanted)}, more than the limit of {_size(limit)}; choose sites (sites='kind:conv'), {fewer}use "
            "keep='statistics', or raise limit."
        )


def _size(count: int) -> str:
    for unit, word in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.2f} {word}"
    return f"{count / 1e3:.1f} kB" if count >= 1000 else f"{count} byte{'s' * (count != 1)}"


__all__ = ["LIMIT", "Keep", "Trace", "size_of", "trace"]
