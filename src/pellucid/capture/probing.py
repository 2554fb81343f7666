"""The questions of a probe, run in batches that halve when memory runs out."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge, passes, reading
from pellucid.capture.asks import INPUT, Ask, Reads, Ruling, Seen, Variants
from pellucid.capture.descending import hand_down
from pellucid.capture.failures import DecidesTogetherError, is_out_of_memory, too_large
from pellucid.capture.handing import HandedDown
from pellucid.capture.hastening import Hastening
from pellucid.capture.passes import Spent
from pellucid.capture.scores import LOGITS, Score
from pellucid.capture.trials import BLOCK_BYTES, Trials
from pellucid.errors import CapacityError, MethodError

MANY = 16
"""From this number of variants on, recording a pass for them pays."""


@dataclass(slots=True, kw_only=True)
class Questions:
    """Answers the asks of a probe about one batch; a size that memory did not allow is not tried again.

    Attributes:
        module: The model.
        batch: The prepared batch.
        scores: One score per item.
        size: Most items in one pass. Variants of a site run in batches of `SITE_BYTES`, since nothing but what depends
            on the site is run.
        spent: Where the cost is counted.
        trials: Runs variants from a recorded pass on.
        hastening: Runs passes for slopes.
    """

    module: nn.Module
    batch: Tensor
    scores: Sequence[Score]
    size: int
    spent: Spent
    trials: Trials
    hastening: Hastening

    def answer(self, ask: Ask) -> Tensor | Seen | HandedDown:
        """The scores or the logits of all variants, the weighted sum of the slopes, what was read or handed down."""
        if ask.site != INPUT:
            return self.trials.at_site(ask)
        if ask.want == "read":
            return self._read(ask) if ask.partners is None else self._pairs(ask, ask.partners)
        if ask.want == "relevance":
            return self._handed_down(ask)
        return self._slope(ask) if ask.want == "slope" else self._plain(ask)

    def _plain(self, ask: Ask) -> Tensor:
        boxes, count = ask.variants.boxes, ask.variants.count
        if self.batch.dim() == 4 and (boxes is not None or count >= MANY):
            height, width = self.batch.shape[-2:]
            # A recorded pass runs faster than the model's own code, also on whole pictures.
            whole = torch.tensor([[0, 0, height, width]]).expand(count, -1)
            answered = self.trials.in_windows(ask, whole if boxes is None else boxes)
            if answered is not None:
                return answered
            if boxes is not None:
                self.spent.remarks.add("windows were run as whole pictures: this model cannot be run in tiles")
        found: list[Tensor] = []

        def run(x: Tensor, chunk: _Chunk) -> None:
            if ask.want == "logits":
                found.append(passes.answer(self.module, x).logits)
            else:
                found.append(passes.score_of(self.module, x, self._scores(chunk), slope=False)[0])

        self._each(ask.variants, run)
        return self._by_variant(torch.cat(found))

    def _slope(self, ask: Ask) -> Tensor:
        weights = ask.weights or (1.0,) * ask.variants.count
        exact = torch.float64 if self.batch.dtype == torch.float64 else torch.float32
        total = torch.zeros_like(self.batch, dtype=exact)
        form = self.hastening.form(self.scores) if ask.variants.count >= MANY else None
        at_once = None if form is None or self.batch.is_cuda else max(4, BLOCK_BYTES // form.most_bytes)

        def run(x: Tensor, chunk: _Chunk) -> None:
            slopes = self.hastening.slopes(x, self._scores(chunk))
            self.spent.backwards += len(x)
            for slope, (variant, item) in zip(slopes, chunk, strict=True):
                total[item] += weights[variant] * slope

        self._each(ask.variants, run, at_once=at_once)
        return total.to(self.batch.dtype)

    def _read(self, ask: Ask) -> Seen:
        [seen] = self.seen_for(ask, [self.scores])
        return seen

    def seen_for(self, ask: Ask, several: Sequence[Sequence[Score]]) -> list[Seen]:
        """What is read for each of several scores of every item: one forward for all, one backward for each."""
        found: list[list[Seen]] = [[] for _ in several]

        def run(x: Tensor, chunk: _Chunk) -> None:
            for mine, seen in zip(found, self._shared(x, chunk, ask.reads, ask.ruling, several), strict=True):
                mine.append(seen)

        self._each(ask.variants, run)
        return list(map(self._seen_by_variant, found))

    def slopes_for(self, ask: Ask, several: Sequence[Sequence[Score]]) -> list[Tensor]:
        """The weighted sum of the slopes for each of several scores: one forward for all, one backward for each."""
        if self.hastening.precision != "float32" and ask.variants.count >= MANY:
            self.spent.remarks.add(
                f"precision={self.hastening.precision}: several targets share passes, which are run as the model is"
            )
        weights = ask.weights or (1.0,) * ask.variants.count
        exact = torch.float64 if self.batch.dtype == torch.float64 else torch.float32
        totals = [torch.zeros_like(self.batch, dtype=exact) for _ in several]

        def run(x: Tensor, chunk: _Chunk) -> None:
            read = self._shared(x, chunk, Reads(slopes=frozenset({INPUT})), None, several)
            for total, seen in zip(totals, read, strict=True):
                for slope, (variant, item) in zip(seen.slopes[INPUT], chunk, strict=True):
                    total[item] += weights[variant] * slope

        self._each(ask.variants, run)
        return [total.to(self.batch.dtype) for total in totals]

    def _shared(
        self, x: Tensor, chunk: "_Chunk", reads: Reads, ruling: Ruling | None, several: Sequence[Sequence[Score]]
    ) -> list[Seen]:
        mine, spent = [[scores[item] for _, item in chunk] for scores in several], Spent()
        _, _, found = reading.read(
            self.module,
            x,
            reads=lambda _: _with_places(reads, list(itertools.chain.from_iterable(mine))),
            resolve=[reading.already(scores) for scores in mine],
            spent=spent,
            ruling=ruling,
        )
        self.spent.backwards += spent.backwards // len(several)  # each score has a backward pass of its own
        return [seen for _, _, seen in found]

    def _pairs(self, ask: Ask, partners: Variants) -> Seen:
        found: list[Seen] = []

        def run(x: Tensor, chunk: _Chunk) -> None:
            made = {variant: partners.make(variant) for variant in sorted({variant for variant, _ in chunk})}
            both = torch.cat([x, torch.stack([made[variant][item] for variant, item in chunk])])
            spent, scores = Spent(), self._scores(chunk)
            try:
                # Only the variants have scores, so nothing comes back from their partners but what a rule sees.
                _, _, [(_, _, seen)] = reading.read_once(
                    self.module,
                    both,
                    lambda _: _with_places(ask.reads, scores),
                    [reading.already(scores)],
                    spent,
                    ask.ruling,
                )
            except DecidesTogetherError:
                if len(chunk) > 1:
                    raise
                raise MethodError(
                    "the model decides by the values of its input which way to go, so two inputs cannot go through it "
                    "side by side; use integrated-gradients."
                ) from None
            rows = slice(len(chunk))
            found.append(
                Seen(
                    values={name: tensor[rows] for name, tensor in seen.values.items()},
                    slopes={name: tensor[rows] for name, tensor in seen.slopes.items()},
                )
            )
            self.spent.forwards += len(chunk)  # the partners; the variants are counted with those of all questions
            self.spent.backwards += spent.backwards

        size, self.size = self.size, max(1, self.size // 2)
        self._each(ask.variants, run, beside_another=True)
        self.size = min(size, 2 * self.size)
        return self._seen_by_variant(found)

    def _seen_by_variant(self, found: list[Seen]) -> Seen:
        joined = Seen.joined(found)
        return Seen(
            values={name: self._by_variant(tensor) for name, tensor in joined.values.items()},
            slopes={name: self._by_variant(tensor) for name, tensor in joined.slopes.items()},
        )

    def _handed_down(self, ask: Ask) -> HandedDown:
        found: list[HandedDown] = []
        assert ask.handing is not None
        handing = ask.handing

        def run(x: Tensor, chunk: _Chunk) -> None:
            found.append(
                hand_down(self.module, x, self._scores(chunk), handing, start=ask.start, places=ask.reads.values)
            )
            self.spent.backwards += len(x)

        self._each(ask.variants, run)
        return HandedDown.joined(found).each(self._by_variant)

    def _scores(self, chunk: "_Chunk") -> list[Score]:
        return [self.scores[item] for _, item in chunk]

    def _by_variant(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, len(self.batch), *rows.shape[1:])

    def _each(
        self,
        variants: Variants,
        run: Callable[[Tensor, "_Chunk"], None],
        *,
        beside_another: bool = False,
        at_once: int | None = None,
    ) -> None:
        """Variants of items, as many at once as fit, variant by variant."""
        work = [(variant, item) for variant in range(variants.count) for item in range(len(self.batch))]
        made: dict[int, Tensor] = {}
        done = 0
        while done < len(work):
            chunk = work[done : done + min(self.size, at_once or self.size)]
            try:
                for variant in sorted({variant for variant, _ in chunk} - made.keys()):
                    made[variant] = variants.make(variant)
                run(torch.stack([made[variant][item] for variant, item in chunk]), chunk)
            except DecidesTogetherError:
                self.size = 1
                continue
            except (RuntimeError, MemoryError, CapacityError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(chunk) == 1:
                    known = knowledge.recall(self.module, self.batch)
                    raise too_large(self.batch[:1], known, error, beside_another=beside_another) from error
                self.size = len(chunk) // 2
                continue
            self.spent.ran(len(chunk))
            done += len(chunk)
            oldest = work[done][0] if done < len(work) else variants.count
            made = {variant: tensor for variant, tensor in made.items() if variant >= oldest}


_Chunk = list[tuple[int, int]]


def _with_places(reads: Reads, scores: Sequence[Score]) -> Reads:
    """What is wanted, and the values that the scores are made of."""
    return reads | Reads(values=frozenset(score.place for score in scores) - {LOGITS})
