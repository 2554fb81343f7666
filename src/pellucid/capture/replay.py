"""What would a model have answered if a site had been different? Only what depends on the change is run again.

replay = passes.replay(module, batch)
replay.logits({"features.20": lambda maps: maps * 0})

Of one item, many variants are run at once, and what comes before them not at all:

replay.logits({"features.20": lambda maps: variants}, copies=len(variants))
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from pellucid.capture.answers import Answer
from pellucid.capture.scores import LOGITS
from pellucid.capture.sites import Site, select_one
from pellucid.errors import SiteError

# From the values of a site, a copy that may be altered, to what is put in their place: same shape, same type.
Edit = Callable[[Tensor], Tensor]
# The logits, and the values of the sites that were wanted.
Replayed = tuple[Tensor, dict[str, Tensor]]


class Replay:
    """One pass of a batch, ready to be run again with sites changed. Holds the model: for use, not for keeping.

    Args:
        run: Runs the model with edits, by site name, on some copies of the one item, or on the batch where it is 1, and
            keeps the values of some sites.
        answer: The unchanged answer.
        sites: The sites of the pass, without values.
        aliases: Containers and the sites that they stand for.
        decides: Whether the model decides by values that depend on the batch; its pictures decide together then.
    """

    def __init__(
        self,
        run: Callable[[Mapping[str, Edit], int, Collection[str]], Replayed],
        *,
        answer: Answer,
        sites: Sequence[Site],
        aliases: Mapping[str, str],
        decides: bool,
    ) -> None:
        self._run = run
        self.decides = decides
        self.answer = answer
        self.sites = tuple(sites)
        self.aliases = dict(aliases)

    def logits(self, edits: Mapping[str, Edit], *, copies: int = 1) -> Tensor:
        """The logits, (batch, classes), if sites had had other values.

        Args:
            edits: From a selector of one site to a function of its values.
            copies: So many copies of the one item lie in the batch, and an edit changes each as it likes.

        Raises:
            SiteError: A selector means no site, or several, or a part of a tuple.
            SettingError: An edit has changed the shape or the type.
        """
        return self.places(edits, copies=copies)[LOGITS]

    def places(self, edits: Mapping[str, Edit], *, copies: int = 1, sites: Collection[str] = ()) -> dict[str, Tensor]:
        """The same logits under `logits`, and the values that some sites would have had, by name."""
        named = {select_one(selector, self.sites, self.aliases).name: edit for selector, edit in edits.items()}
        for name in named:
            if name.endswith("]"):
                raise SiteError(
                    f"site {name!r} is one part of a result with several; change a site before or after it."
                )
        logits, values = self._run(named, copies, sites)
        return {**values, LOGITS: logits}


def without_channels(channels: Sequence[int]) -> Edit:
    """An edit that sets channels of (batch, channels, …) to 0."""
    chosen = list(channels)

    def edit(values: Tensor) -> Tensor:
        values[:, chosen] = 0
        return values

    return edit


def without_one_channel_each(channels: Sequence[int]) -> Edit:
    """An edit for a batch of equal pictures: the first loses the first of some channels, the second the second."""

    def edit(values: Tensor) -> Tensor:
        chosen = list(channels)
        values[list(range(len(chosen))), chosen] = 0
        return values

    return edit


def shuffled_positions(generator: torch.Generator) -> Edit:
    """An edit that puts all positions of (batch, channels, positions …) into another order, one for all channels.

    Args:
        generator: Where the order is drawn, one for all pictures of the batch.
    """

    def edit(values: Tensor) -> Tensor:
        flat = values.flatten(2)
        order = torch.randperm(flat.shape[2], generator=generator).to(values.device)
        return flat[:, :, order].reshape(values.shape)

    return edit
