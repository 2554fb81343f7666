"""Variants that are run from a recorded pass on: put in at a site, or differing from the picture in a window."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.asks import Ask
from pellucid.capture.failures import is_out_of_memory
from pellucid.capture.passes import Spent
from pellucid.capture.replay import Edit, Replay
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.windows import Incremental
from pellucid.errors import CapacityError

WINDOWS = 48
"""Most variants of a picture that differ in a window and are run at once."""
SITE_BYTES = 64_000_000
"""Most memory that the variants of a site take at once."""


@dataclass(slots=True, kw_only=True)
class Trials:
    """Answers questions about one batch from a pass on each of its items, which is recorded once.

    Attributes:
        module: The model.
        batch: The prepared batch.
        scores: One score per item.
        size: Most whole pictures at once.
        spent: Where the cost is counted.
    """

    module: nn.Module
    batch: Tensor
    scores: Sequence[Score]
    size: int
    spent: Spent
    _replays: dict[int, Replay] = field(default_factory=dict)
    _tiled: dict[int, Incremental | None] = field(default_factory=dict)

    def at_site(self, ask: Ask) -> Tensor:
        """Variants of a site, item by item; what comes before the site is not run again."""
        count = ask.variants.count
        rows = [self._of_item(ask, item, count) for item in range(len(self.batch))]
        return torch.stack(rows, dim=1)

    def in_windows(self, ask: Ask, boxes: Tensor) -> Tensor | None:
        """Variants that differ in boxes, item by item; None where the model cannot be run in tiles.

        Args:
            ask: For scores or logits.
            boxes: int64 (count, 4): top, left, bottom, right.
        """
        rows = []
        for item in range(len(self.batch)):
            found = self._windows_of(ask, boxes, item)
            if found is None:
                return None
            rows.append(found)
        return torch.stack(rows, dim=1)

    def _replay(self, item: int) -> Replay:
        if item not in self._replays:
            self._replays = {item: passes.replay(self.module, self.batch[item : item + 1])}
            self.spent.calls += 1
            self.spent.forwards += 1
        return self._replays[item]

    def _incremental(self, item: int) -> Incremental | None:
        if item not in self._tiled:
            place = self.scores[item].place
            before = None if place == LOGITS else place
            self._tiled = {item: passes.incremental(self.module, self.batch[item : item + 1], before=before)}
            self.spent.calls += 1
            self.spent.forwards += 1
        return self._tiled[item]

    def _windows_of(self, ask: Ask, boxes: Tensor, item: int) -> Tensor | None:
        incremental = self._incremental(item)
        if incremental is None:
            return None
        replay, score, found = self._replay(item), self.scores[item], []
        places = frozenset({score.place} - {LOGITS})
        # As much memory as whole pictures would take at once, but not one tile after the other where tiles are small.
        largest = int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).max())
        room = self.size * self.batch.shape[-1] * self.batch.shape[-2] // max(largest, 1)
        done, size = 0, max(1, min(WINDOWS, room))
        while done < len(boxes):
            rows = range(done, min(done + size, len(boxes)))
            variants = torch.stack([ask.variants.make(number)[item] for number in rows])
            try:
                frontier = incremental.run(variants, boxes[rows.start : rows.stop].to(variants.device))
                edits = {site: _putting(maps) for site, maps in frontier.maps.items()}
                seen = replay.places(edits, copies=len(rows), sites=places)
            except (RuntimeError, MemoryError, CapacityError) as error:
                if not (is_out_of_memory(error) or isinstance(error, CapacityError)) or len(rows) == 1:
                    raise
                size = len(rows) // 2
                continue
            if not done and not self._agrees(variants[:1], seen[LOGITS][:1]):
                return None
            self.spent.calls += 1
            self.spent.forwards += len(rows)
            found.append(seen[LOGITS] if ask.want == "logits" else evaluate([score] * len(rows), seen))
            done = rows.stop
        return torch.cat(found)

    def _agrees(self, variant: Tensor, logits: Tensor) -> bool:
        """Whether a whole picture gives the same answer."""
        expected = passes.answer(self.module, variant).logits
        self.spent.calls += 1
        self.spent.forwards += 1
        return bool(((logits - expected).abs() <= 1e-4 * (1 + expected.abs().max())).all())

    def _of_item(self, ask: Ask, item: int, count: int) -> Tensor:
        replay, score = self._replay(item), self.scores[item]
        places = frozenset({score.place} - {LOGITS})
        found: list[Tensor] = []
        done, size = 0, count
        while done < count:
            first = ask.variants.of_item(done, item)
            size = min(size, max(1, SITE_BYTES // max(first.nbytes, 1)))
            rest = [ask.variants.of_item(number, item) for number in range(done + 1, min(done + size, count))]
            values = torch.cat([first, *rest])
            try:
                seen = replay.places({ask.site: _putting(values)}, copies=len(values), sites=places)
            except CapacityError:
                if len(values) == 1:
                    raise
                size = len(values) // 2
                continue
            self.spent.calls += 1
            self.spent.forwards += len(values)
            found.append(seen[LOGITS] if ask.want == "logits" else evaluate([score] * len(values), seen))
            done += len(values)
        return torch.cat(found)


def _putting(values: Tensor) -> Edit:
    return lambda _: values
