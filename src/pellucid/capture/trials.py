"""Variants that are run from a recorded pass on: put in at a site, or differing from the picture in a window."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge, passes
from pellucid.capture.asks import Ask
from pellucid.capture.channel_changes import ChannelRest, mixes_late
from pellucid.capture.failures import is_out_of_memory, too_large
from pellucid.capture.hastening import Precision, is_half
from pellucid.capture.passes import Spent
from pellucid.capture.replay import Edit, Replay
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import INPUT
from pellucid.capture.windows import Incremental
from pellucid.errors import CapacityError

WINDOWS = 32
"""Most variants of a picture that are run at once; more of them are no faster."""
BLOCK_BYTES = 32_000_000
"""Memory of one map of all variants at once on a processor. Larger blocks are fetched from the system and given back
each time, which takes longer than most layers."""
_COMPARED = 8
"""How many variants are run in both types."""
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
        precision: In which form variants of pictures are run.

    A number of variants that memory did not allow is not tried again: `_fitted` keeps by site what is left to try.
    `_exact` holds the items of which bfloat16 was no use.
    """

    module: nn.Module
    batch: Tensor
    scores: Sequence[Score]
    size: int
    spent: Spent
    precision: Precision = "float32"
    _replays: dict[int, Replay] = field(default_factory=dict)
    _rests: dict[int, ChannelRest | None] = field(default_factory=dict)
    _fitted: dict[str, int] = field(default_factory=dict)
    _tiled: dict[int, Incremental | None] = field(default_factory=dict)
    _exact: set[int] = field(default_factory=set)

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
            if found is None and item in self._exact:  # no longer in bfloat16
                found = self._windows_of(ask, boxes, item)
            if found is None:
                return None
            rows.append(found)
        return torch.stack(rows, dim=1)

    def _replay(self, item: int) -> Replay:
        if item not in self._replays:
            self._replays = {item: passes.replay(self.module, self.batch[item : item + 1])}
            self.spent.ran(1)
        return self._replays[item]

    def _incremental(self, item: int) -> Incremental | None:
        if item not in self._tiled:
            place = self.scores[item].place
            before = None if place == LOGITS else place
            picture = self.batch[item : item + 1]
            half = is_half(self.precision, self.batch, self.spent) and item not in self._exact
            self._tiled = {item: passes.incremental(self.module, picture, before=before, half=half)}
            self.spent.ran(1)
        return self._tiled[item]

    def _places(self, item: int) -> frozenset[str]:
        return frozenset({self.scores[item].place} - {LOGITS})

    def _windows_of(self, ask: Ask, boxes: Tensor, item: int) -> Tensor | None:
        incremental = self._incremental(item)
        if incremental is None:
            return None
        replay, score = self._replay(item), self.scores[item]
        places = self._places(item)
        size = min(self._at_once(incremental, boxes), self._fitted.get(INPUT, WINDOWS))
        order = neighbours(boxes, size)
        found: list[Tensor] = []
        done = 0
        while done < len(order):
            rows = order[done : done + size]
            variants = torch.cat([ask.variants.of_item(number, item) for number in rows.tolist()])
            try:
                frontier = incremental.run(variants, boxes[rows].to(variants.device))
                edits = {site: _putting(maps) for site, maps in frontier.maps.items()}
                seen = replay.places(edits, copies=len(rows), sites=places)
            except (RuntimeError, MemoryError, CapacityError) as error:
                if not (is_out_of_memory(error) or isinstance(error, CapacityError)):
                    raise
                if len(rows) == 1:
                    raise too_large(variants, knowledge.recall(self.module, self.batch), error) from error
                size = self._fitted[INPUT] = len(rows) // 2
                continue
            if not done and not self._agrees(variants[:1], seen[LOGITS][:1], half=incremental.is_half):
                if incremental.is_half:
                    self._leave_half(item, "bfloat16 gave another answer to the first variant")
                return None
            self.spent.ran(len(rows))
            found.append(seen[LOGITS] if ask.want == "logits" else evaluate([score] * len(rows), seen))
            done += len(rows)
        answers = torch.cat(found)[order.argsort()]
        return self._set_right(answers, ask, boxes, item) if incremental.is_half else answers

    def _at_once(self, incremental: Incremental, boxes: Tensor) -> int:
        """How many variants to run at once: as much memory as whole pictures would take, but not one by one."""
        largest = int(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).max())
        area = self.batch.shape[-1] * self.batch.shape[-2]
        most = max(1, min(WINDOWS, self.size * area // max(largest, 1)))
        if self.batch.is_cuda or largest < area:
            return most
        return max(min(4, most), min(most, BLOCK_BYTES // incremental.most_bytes))

    def _agrees(self, variant: Tensor, logits: Tensor, *, half: bool) -> bool:
        """Whether a whole picture gives the same answer."""
        expected = passes.answer(self.module, variant).logits
        self.spent.ran(1)
        near = 1e-4 if not half else 0.1
        return bool(((logits - expected).abs() <= near * (1 + expected.abs().max())).all())

    def _set_right(self, answers: Tensor, ask: Ask, boxes: Tensor, item: int) -> Tensor | None:
        """What was computed in bfloat16, moved by what that does to a few variants that are run in float32 too.

        None where the few differ by more than the variants differ from each other: then nothing was learnt.
        """
        few = torch.linspace(0, len(boxes) - 1, min(_COMPARED, len(boxes)), device=answers.device).round().long()
        variants = torch.cat([ask.variants.of_item(number, item) for number in few.tolist()])
        found = []
        size = min(self.size, self._fitted.get(INPUT, WINDOWS))
        for start in range(0, len(few), size):
            some = variants[start : start + size]
            if ask.want == "logits":
                found.append(passes.answer(self.module, some).logits)
            else:
                found.append(passes.score_of(self.module, some, [self.scores[item]] * len(some), slope=False)[0])
            self.spent.ran(len(some))
        exact = torch.cat(found)
        off = exact - answers[few]
        moved = answers + off.mean(0)
        left, spread = float((off - off.mean(0)).abs().max()), float((exact.amax(0) - exact.amin(0)).max())
        if left > spread / 2:
            self._leave_half(item, "bfloat16 could not tell these variants apart")
            return None
        self.spent.precision = "bfloat16"
        self.spent.remarks.add(
            f"computed in bfloat16: {len(few)} variants that were run in float32 too differ by at most {left:.2g}, and "
            f"range over {spread:.2g}"
        )
        return moved

    def _leave_half(self, item: int, why: str) -> None:
        """Run the variants of an item in float32 from now on."""
        self.spent.remarks.add(f"precision=fast: {why}, so they were run in float32")
        self._exact.add(item)
        self._tiled = {}

    def _one_channel_each(self, ask: Ask, item: int) -> Tensor | None:
        """Variants in which one channel differs, by what that channel alone changes; None where more is run."""
        channels, planes, score = ask.variants.channels, ask.variants.planes, self.scores[item]
        known = knowledge.recall(self.module, self.batch)
        if channels is None or planes is None or known is None or score.place != LOGITS:
            return None
        if not mixes_late(known.site(ask.site), known.sites):
            return None
        if item not in self._rests:
            self._rests = {item: passes.channel_rest(self.module, self.batch[item : item + 1])}
            self.spent.ran(1)
        rest = self._rests[item]
        try:
            seen = None if rest is None else rest.run(ask.site, planes(item), channels)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        if seen is None:
            return None
        self.spent.ran(len(channels))
        return seen[LOGITS] if ask.want == "logits" else evaluate([score] * len(channels), seen)

    def _of_item(self, ask: Ask, item: int, count: int) -> Tensor:
        by_channel = self._one_channel_each(ask, item)
        if by_channel is not None:
            return by_channel
        replay, score = self._replay(item), self.scores[item]
        places = self._places(item)
        found: list[Tensor] = []
        done, size = 0, min(count, self._fitted.get(ask.site, count))
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
                size = self._fitted[ask.site] = len(values) // 2
                continue
            self.spent.ran(len(values))
            found.append(seen[LOGITS] if ask.want == "logits" else evaluate([score] * len(values), seen))
            done += len(values)
        return torch.cat(found)


def _putting(values: Tensor) -> Edit:
    return lambda _: values


def neighbours(boxes: Tensor, size: int) -> Tensor:
    """An order in which boxes that lie near each other follow each other, in groups of about a size: int64 (count,).

    Tiles of one run have one size, that of the largest; near a border they can all be smaller.
    """
    by_row = boxes[:, 0].argsort(stable=True)
    strips = max(1, round(math.sqrt(len(boxes) / size)))
    return torch.cat([strip[boxes[strip, 1].argsort(stable=True)] for strip in by_row.tensor_split(strips)])
