"""The questions of a probe, run in batches that halve when memory runs out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge, passes, reading
from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Probe, Reads, Seen, Variants
from pellucid.capture.failures import DecidesTogetherError, is_out_of_memory, too_large
from pellucid.capture.passes import Spent
from pellucid.capture.replay import Edit, Replay
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.errors import CapacityError, MethodError
from pellucid.models.preprocessing import Preprocessing

WINDOWS = 48
"""Most variants of a picture that differ in a window and are run at once."""
SITE_BYTES = 64_000_000
"""Most memory that the variants of a site take at once."""


def run_probe(
    module: nn.Module,
    batch: Tensor,
    method: Probe,
    scores: Sequence[Score],
    *,
    seed: int,
    spent: Spent,
    facts: Facts,
    seen: Seen,
    values: Tensor,
    batch_size: int = 32,
    preparing: Preprocessing | None = None,
) -> Parts:
    """Let a probe ask until it has its answer.

    Variants run in batches of at most `batch_size` items, halved when memory runs out; the answer is the same, up to
    rounding. Variants of a site run in batches of `SITE_BYTES`, since nothing but what depends on the site is run.

    Args:
        module: The model.
        batch: The prepared batch.
        method: The probe.
        scores: One score per item.
        seed: For its random draws.
        spent: Where the cost is counted.
        facts: What is known about the model.
        seen: What the probe wanted to read.
        values: The scores of the batch as it is.
        batch_size: Most items in one pass.
        preparing: How pictures become such a batch, where that is known.

    Raises:
        CapacityError: Not even one item fits into memory.
    """
    questions = _Questions(module=module, batch=batch, scores=scores, size=batch_size, spent=spent)
    rng = torch.Generator(device="cpu").manual_seed(seed)
    given = Given(x=batch, rng=rng, facts=facts, seen=seen, scores=values, explained=tuple(scores), preparing=preparing)
    probing = method.probe(given)
    try:
        ask = next(probing)
        while True:
            ask = probing.send(questions.answer(ask))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


@dataclass(slots=True, kw_only=True)
class _Questions:
    """Answers one ask after the other; a size that memory did not allow is not tried again."""

    module: nn.Module
    batch: Tensor
    scores: Sequence[Score]
    size: int
    spent: Spent
    replays: dict[int, Replay] = field(default_factory=dict)

    def answer(self, ask: Ask) -> Tensor | Seen:
        """The scores or the logits of all variants, the weighted sum of the slopes, or what was read."""
        if ask.site != INPUT:
            return self._at_site(ask)
        if ask.want == "read":
            return self._read(ask) if ask.partners is None else self._pairs(ask, ask.partners)
        if ask.variants.boxes is not None and ask.want in ("score", "logits") and self.batch.dim() == 4:
            return self._in_windows(ask, ask.variants.boxes)
        return self._slope(ask) if ask.want == "slope" else self._plain(ask)

    def _plain(self, ask: Ask) -> Tensor:
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

        def run(x: Tensor, chunk: _Chunk) -> None:
            _, slopes = passes.score_of(self.module, x, self._scores(chunk), slope=True)
            assert slopes is not None
            self.spent.backwards += len(x)
            for slope, (variant, item) in zip(slopes, chunk, strict=True):
                total[item] += weights[variant] * slope

        self._each(ask.variants, run)
        return total.to(self.batch.dtype)

    def _read(self, ask: Ask) -> Seen:
        found: list[Seen] = []

        def run(x: Tensor, chunk: _Chunk) -> None:
            scores, spent = self._scores(chunk), Spent()
            _, _, [(_, _, seen)] = reading.read(
                self.module,
                x,
                reads=lambda _: _with_places(ask.reads, scores),
                resolve=[reading.already(scores)],
                spent=spent,
                ruling=ask.ruling,
            )
            found.append(seen)
            self.spent.backwards += spent.backwards

        self._each(ask.variants, run)
        return self._seen_by_variant(found)

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
        self._each(ask.variants, run)
        self.size = min(size, 2 * self.size)
        return self._seen_by_variant(found)

    def _seen_by_variant(self, found: list[Seen]) -> Seen:
        joined = Seen.joined(found)
        return Seen(
            values={name: self._by_variant(tensor) for name, tensor in joined.values.items()},
            slopes={name: self._by_variant(tensor) for name, tensor in joined.slopes.items()},
        )

    def _scores(self, chunk: "_Chunk") -> list[Score]:
        return [self.scores[item] for _, item in chunk]

    def _by_variant(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, len(self.batch), *rows.shape[1:])

    def _each(self, variants: Variants, run: Callable[[Tensor, "_Chunk"], None]) -> None:
        """Variants of items, as many at once as fit, variant by variant."""
        work = [(variant, item) for variant in range(variants.count) for item in range(len(self.batch))]
        made: dict[int, Tensor] = {}
        done = 0
        while done < len(work):
            chunk = work[done : done + self.size]
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
                    raise too_large(self.batch[:1], knowledge.recall(self.module, self.batch), error) from error
                self.size = len(chunk) // 2
                continue
            self.spent.calls += 1
            self.spent.forwards += len(chunk)
            done += len(chunk)
            oldest = work[done][0] if done < len(work) else variants.count
            made = {variant: tensor for variant, tensor in made.items() if variant >= oldest}

    def _at_site(self, ask: Ask) -> Tensor:
        """Variants of a site, item by item; what comes before the site is not run again."""
        count = ask.variants.count
        rows = [self._of_item(ask, item, count) for item in range(len(self.batch))]
        return torch.stack(rows, dim=1)

    def _replay(self, item: int) -> Replay:
        if item not in self.replays:
            self.replays = {item: passes.replay(self.module, self.batch[item : item + 1])}
            self.spent.calls += 1
            self.spent.forwards += 1
        return self.replays[item]

    def _in_windows(self, ask: Ask, boxes: Tensor) -> Tensor:
        """Variants that differ in a window, item by item; whole pictures where that is not possible."""
        rows = []
        for item in range(len(self.batch)):
            found = self._windows_of(ask, boxes, item)
            if found is None:
                self.spent.remarks.add("windows were run as whole pictures: this model cannot be run in tiles")
                return self._plain(ask)
            rows.append(found)
        return torch.stack(rows, dim=1)

    def _windows_of(self, ask: Ask, boxes: Tensor, item: int) -> Tensor | None:
        place = self.scores[item].place
        before = None if place == LOGITS else place
        incremental = passes.incremental(self.module, self.batch[item : item + 1], before=before)
        self.spent.calls += 1
        self.spent.forwards += 1
        if incremental is None:
            return None
        replay, score, found = self._replay(item), self.scores[item], []
        places = frozenset({score.place} - {LOGITS})
        done, size = 0, WINDOWS
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


_Chunk = list[tuple[int, int]]


def _with_places(reads: Reads, scores: Sequence[Score]) -> Reads:
    """What is wanted, and the values that the scores are made of."""
    return reads | Reads(values=frozenset(score.place for score in scores) - {LOGITS})


def _putting(values: Tensor) -> Edit:
    return lambda _: values
