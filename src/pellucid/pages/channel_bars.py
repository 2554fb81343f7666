"""How a page shows values of channels: bars of the strongest, and their feature maps on one scale."""

from dataclasses import dataclass

import numpy as np

from pellucid.figures.colour import Kind, measure
from pellucid.figures.legend import end_labels
from pellucid.figures.numbers import number
from pellucid.methods.explanation import Explanation
from pellucid.pages.graph_pictures import Shown, draw_strongest
from pellucid.pages.pictures import bar, map_url
from pellucid.pages.words import Catalogue

_MAPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMap:
    """A feature map below the bars: its number, its value in words, its picture."""

    channel: int
    value: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBars:
    """Values of channels as a page has them.

    Attributes:
        bars: The strongest channels.
        maps: Feature maps of the first of them; none where channels have no positions.
        bar: The colours of the maps.
        ends: What stands below the two ends of these colours.
        zero: Whether zero is marked in the middle.
    """

    bars: Shown
    maps: tuple[ChannelMap, ...] = ()
    bar: str = ""
    ends: tuple[str, str] = ("", "")
    zero: bool = False


def of_channels(explanation: Explanation) -> bool:
    """Whether an explanation has a value per channel, and nothing that could be drawn on a picture."""
    return explanation.parts[0].axes == ("channels",)


def channel_bars(explanation: Explanation, words: Catalogue) -> ChannelBars:
    """The strongest channels of an explanation of channels."""
    values = explanation.values
    names = [words.text("why.channel", channel=channel) for channel in range(len(values))]
    bars = draw_strongest(values, names, words)
    activations = explanation.feature_maps()
    if activations is None:
        return ChannelBars(bars=bars)
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    order = np.lexsort((np.arange(len(values)), -size))[:_MAPS].tolist()
    shown = activations.values[order]
    kind: Kind = "signed" if (shown < 0).any() else "sequential"
    scale = measure(shown, kind=kind)
    entries = scale.entries(shown)
    maps = tuple(
        ChannelMap(channel=channel, value=number(float(values[channel]), sign=True), url=map_url(entry, kind))
        for channel, entry in zip(order, entries, strict=True)
    )
    return ChannelBars(bars=bars, maps=maps, bar=bar(kind), ends=end_labels(scale), zero=kind == "signed")
