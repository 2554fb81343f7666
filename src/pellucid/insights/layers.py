"""The layers that have filters, and where a trace finds them: calls, BatchNorm, the place where they are handed on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture.sites import Site

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# What hands every channel on as a channel of the same number.
_PASSES_ON = ("norm", "activation", "dropout", "identity")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A layer with filters. Holds the module: for use, not for keeping.

    Attributes:
        name: Its path in the model.
        module: The module itself.
        filters: Its weights, one filter per output channel: float64 (out, in of one group, *kernel).
        groups: How many groups its channels are in.
        calls: The sites of its calls; empty where nobody has seen it run.
        handed_on: For each call the site where its channels leave as they are: behind BatchNorm, activation, dropout.
        batch_norm: The site of the BatchNorm that takes its first call's result, and only that; None without one.
        rectified: Whether `handed_on` is an activation's site.
    """

    name: str
    module: nn.Module
    filters: np.ndarray
    groups: int
    calls: tuple[str, ...] = ()
    handed_on: tuple[str, ...] = ()
    batch_norm: str | None = None
    rectified: bool = False

    @property
    def flat(self) -> np.ndarray:
        """The filters as rows, (out, in · kernel)."""
        return self.filters.reshape(len(self.filters), -1)


def layers_of(module: nn.Module, sites: Sequence[Site]) -> list[Layer]:
    """The convolutions and linear layers of a model, in order of execution, then those that no site is known of.

    A weight that several layers share is looked at once, under the name of the first and with the calls of all.

    Args:
        module: The model.
        sites: The sites of one pass; empty if there is none.
    """
    users: dict[str, list[Site]] = {}
    for site in sites:
        for name in site.inputs:
            users.setdefault(name, []).append(site)
    owners: dict[int, tuple[nn.Module, list[str]]] = {}
    for path, part in module.named_modules():
        if isinstance(part, (*_CONVOLUTIONS, nn.Linear)):
            # A parametrised weight is made anew at every look, and shared with nobody.
            weight = part._parameters.get("weight")
            owners.setdefault(id(part if weight is None else weight), (part, []))[1].append(path)
    found: list[tuple[int, Layer]] = []
    for part, paths in owners.values():
        calls = [site for site in sites if path_of(site.name) in paths and site.kind in ("conv", "linear")]
        usable = [site for site in calls if site.channels_first or len(site.shape) == 2]
        chains = [list(_chain(site, users)) for site in usable]
        norm = next((site.name for site in chains[0] if site.op == "batch_norm"), None) if chains else None
        layer = Layer(
            name=paths[0],
            module=part,
            filters=filters_of(part),
            groups=getattr(part, "groups", 1),
            calls=tuple(site.name for site in usable),
            handed_on=tuple(chain[-1].name for chain in chains),
            batch_norm=norm,
            rectified=bool(chains) and all(chain[-1].kind == "activation" for chain in chains),
        )
        found.append((calls[0].index if calls else len(sites), layer))
    return [layer for _, layer in sorted(found, key=lambda pair: pair[0])]


def filters_of(part: nn.Module) -> np.ndarray:
    """The weights of a convolution or linear layer with the output channels first, float64."""
    weight = part.weight
    assert isinstance(weight, Tensor)
    values = weight.detach().cpu().to(torch.float64).numpy()
    if not isinstance(part, _TRANSPOSED):
        return values
    # A transposed convolution has (in, out of one group, *kernel).
    grouped = values.reshape(part.groups, -1, *values.shape[1:]).swapaxes(1, 2)
    return grouped.reshape(-1, *grouped.shape[2:])


def path_of(site: str) -> str:
    """The path of the module in which a site's call was made: `layer1.0.relu#2` → `layer1.0.relu`."""
    return site.split("/")[0].split("#")[0]


def after(names: Sequence[str], sites: Sequence[Site]) -> frozenset[str]:
    """The sites that depend on any of some sites, these among them."""
    reached = set(names)
    for site in sites:
        if any(name in reached for name in site.inputs):
            reached.add(site.name)
    return frozenset(reached)


def _chain(site: Site, users: Mapping[str, Sequence[Site]]) -> Iterator[Site]:
    """A call and what hands its channels on one by one, up to and with the first activation."""
    yield site
    while site.kind != "activation":
        following = users.get(site.name, ())
        if len(following) != 1 or following[0].inputs != (site.name,) or following[0].shape != site.shape:
            return
        (site,) = following
        if site.kind not in _PASSES_ON or (site.kind == "norm" and site.op != "batch_norm"):
            return
        yield site
