"""One call while it is being recorded, before it becomes a site."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pellucid.capture import receptive_field
from pellucid.capture.edges import Edge
from pellucid.capture.operations import kind_of
from pellucid.capture.positions import Field
from pellucid.capture.sites import Site
from pellucid.capture.statistics import Statistics


@dataclass(slots=True)
class Call:
    """One site while it is being recorded."""

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    multiply_adds: int
    seconds: float
    field: Field | None
    channels_first: bool
    wanted: bool = False
    value: Tensor | None = None
    edge: Edge | None = None
    statistics: Statistics | None = None

    def site(self, index: int) -> Site:
        """The call as a site, with its value as it was when the call returned."""
        return Site(
            name=self.name,
            index=index,
            op=self.op,
            kind=kind_of(self.op),
            inputs=self.inputs,
            settings=self.settings,
            shape=self.shape,
            dtype=self.dtype,
            parameters=self.parameters,
            multiply_adds=self.multiply_adds,
            seconds=self.seconds,
            receptive_field=receptive_field.public(self.field),
            channels_first=self.channels_first,
            values=None if self.value is None else self.value.detach(),
            statistics=self.statistics,
        )
