"""A probe set goes through a network: what `depth.py` measures at its sites, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.replay import shuffled_positions
from pellucid.capture.sites import Site
from pellucid.inputs.image import Image
from pellucid.insights.cuts import has_positions
from pellucid.insights.depth_results import DepthSite
from pellucid.insights.form import Blocks, FormReader, folds_of, kept, luminance, read_back
from pellucid.insights.parting import answer_of
from pellucid.insights.probe import probe_accuracy
from pellucid.insights.probes import first_class
from pellucid.insights.ridge import Readout
from pellucid.intervals import Estimate, mean_of, median_of, share_of
from pellucid.models.model import Model

_HELD_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbeSet:
    """A probe set in a model, run batch by batch.

    Attributes:
        model: The model as it is used; what is run may also be its untrained twin.
        pictures: The probe set.
        shown: A picture that is read back, and never learnt from.
        sites: Where to measure.
        size: How many pictures go into one pass.
        repeats: Orders that are drawn for each site.
        seed: For every random draw.
    """

    model: Model
    pictures: tuple[Image, ...]
    shown: Image | None
    sites: tuple[Site, ...]
    size: int
    repeats: int
    seed: int

    @property
    def starts(self) -> range:
        """The first picture of each batch."""
        return range(0, len(self.pictures), self.size)

    @property
    def held(self) -> frozenset[int]:
        """The pictures that the readout never learns from."""
        order = np.random.default_rng(self.seed).permutation(len(self.pictures))
        return frozenset(order[: max(4, round(len(order) * _HELD_SHARE))].tolist())

    def batch(self, start: int) -> Tensor:
        """The prepared batch that begins with a picture."""
        return self._as_input(self.pictures[start : start + self.size])

    def _as_input(self, pictures: Sequence[Image]) -> Tensor:
        weight = next((p for p in self.model.module.parameters() if p.is_floating_point()), None)
        batch = self.model.tensor(pictures)
        return batch if weight is None else batch.to(weight.dtype)

    def batches_of_several(self) -> Iterator[Tensor]:
        """All pictures, two or more in a batch: one alone has no variance where a map has one position."""
        size = max(2, self.size)
        parts = [self.pictures[start : start + size] for start in range(0, len(self.pictures), size)]
        if len(parts[-1]) == 1:
            parts[-2:] = [parts[-2] + parts[-1]]
        return map(self._as_input, parts)

    def decisions(self) -> list[int]:
        """The first class of each picture.

        Raises:
            NotFiniteError: The model's answers are not finite.
        """
        found: list[int] = []
        for start in self.starts:
            found += first_class(answer_of(self.model, self.batch(start)).logits).tolist()
        return found

    def measured(
        self, module: nn.Module, labels: Sequence[str], mine: np.ndarray, step: Callable[[], None]
    ) -> tuple[DepthSite, ...]:
        """All numbers of all sites."""
        side = (int(self.batch(0).shape[2]), int(self.batch(0).shape[3]))
        blocks = {site.name: Blocks.of(site, side) for site in self.sites}
        readouts, features = self._learnt(module, blocks, step)
        forms, read = self._read(module, blocks, readouts, side, step)
        flips, leads = self._shuffled(module, step)
        found = []
        for site in self.sites:
            name, place = site.name, blocks[site.name]
            pooled = np.stack(features[name])
            back = read.get(name)
            found.append(
                DepthSite(
                    name=name,
                    op=site.op,
                    shape=site.shape[1:],
                    stride=None if place is None else place.size,
                    form=median_of(forms[name], seed=self.seed) if forms.get(name) else None,
                    emerged=probe_accuracy(pooled[mine], [labels[i] for i in mine], seed=self.seed)
                    if len(mine)
                    else None,
                    flips=flips.get(name),
                    lead_lost=leads.get(name),
                    read=None if back is None else back[0],
                    read_form=None if back is None else back[1],
                )
            )
        return tuple(found)

    def _passes(self, module: nn.Module) -> Iterator[tuple[range, dict[str, np.ndarray]]]:
        names = [site.name for site in self.sites]
        for start in self.starts:
            batch = self.batch(start)
            values, _ = passes.values_of(module, batch, names)
            yield (
                range(start, start + len(batch)),
                {name: np.nan_to_num(tensor.float().cpu().numpy()) for name, tensor in values.items()},
            )

    def _grey(self, number: int) -> np.ndarray:
        return luminance(self.model.preprocessing.pixels(self.pictures[number]))

    def _learnt(
        self, module: nn.Module, blocks: dict[str, Blocks | None], step: Callable[[], None]
    ) -> tuple[dict[str, Readout], dict[str, list[np.ndarray]]]:
        held = self.held
        learning = [number for number in range(len(self.pictures)) if number not in held]
        fold = dict(zip(learning, folds_of(len(learning)), strict=True))
        readers = {
            site.name: FormReader(place, channels=site.shape[1], pictures=len(learning), seed=self.seed)
            for site in self.sites
            if (place := blocks[site.name]) is not None
        }
        features: dict[str, list[np.ndarray]] = {site.name: [] for site in self.sites}
        for numbers, values in self._passes(module):
            for row, number in enumerate(numbers):
                for name, found in values.items():
                    features[name].append(found[row] if found.ndim == 2 else found[row].mean(axis=(1, 2)))
                    if number in fold and name in readers:
                        readers[name].learn(found[row], self._grey(number), fold=fold[number])
            step()
        return {name: reader.fit() for name, reader in readers.items()}, features

    def _read(
        self,
        module: nn.Module,
        blocks: dict[str, Blocks | None],
        readouts: dict[str, Readout],
        side: tuple[int, int],
        step: Callable[[], None],
    ) -> tuple[dict[str, list[float]], dict[str, tuple[np.ndarray, float | None]]]:
        forms: dict[str, list[float]] = {}
        held = self.held
        for numbers, values in self._passes(module):
            for row, number in enumerate(numbers):
                if number not in held:
                    continue
                for name, readout in readouts.items():
                    share = _form(readout, blocks[name], values[name][row], self._grey(number))[1]
                    if share is not None:
                        forms.setdefault(name, []).append(share)
            step()
        back: dict[str, tuple[np.ndarray, float | None]] = {}
        if self.shown is not None:
            grey = luminance(self.model.preprocessing.pixels(self.shown))
            names = list(readouts)
            seen, _ = passes.values_of(module, self._as_input([self.shown]), names)
            for name, readout in readouts.items():
                place = blocks[name]
                assert place is not None
                found, share = _form(readout, place, seen[name][0].float().cpu().numpy(), grey)
                back[name] = (place.picture(found, side), share)
        return forms, back

    def _shuffled(self, module: nn.Module, step: Callable[[], None]) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
        changed: dict[str, list[float]] = {}
        lost: dict[str, list[float]] = {}
        for start in self.starts:
            replay = passes.replay(module, self.batch(start))
            before = replay.answer.logits
            for number, site in enumerate(self.sites):
                if not has_positions(site):
                    continue
                flips, leads = [], []
                for repeat in range(self.repeats):
                    # The same order for every batch: it depends on the site and the repeat alone.
                    order = torch.Generator().manual_seed(_seed_of(self.seed, number, repeat))
                    after = replay.logits({site.name: shuffled_positions(order)})
                    flips.append((first_class(after) != first_class(before)).double())
                    leads.append(_lead(after, first_class(before)))
                changed.setdefault(site.name, []).extend(torch.stack(flips).mean(dim=0).tolist())
                lead = _lead(before, first_class(before))
                # Where two classes share the first place there is no lead to lose.
                shares = (1 - torch.stack(leads).mean(dim=0) / lead)[lead > 0]
                lost.setdefault(site.name, []).extend(shares.tolist())
            step()
        return (
            {name: _shares(values, self.repeats, self.seed) for name, values in changed.items()},
            {name: median_of(values, seed=self.seed) for name, values in lost.items() if values},
        )


def _form(
    readout: Readout, blocks: Blocks | None, values: np.ndarray, grey: np.ndarray
) -> tuple[np.ndarray, float | None]:
    assert blocks is not None
    read = read_back(readout, blocks, values)
    return read, kept(read, blocks.targets(grey))


def _shares(values: Sequence[float], repeats: int, seed: int) -> Estimate:
    """The mean share; where every picture agrees, resampling knows no interval and Wilson's is given."""
    if len(set(values)) == 1 and values[0] in (0.0, 1.0):
        return share_of(round(values[0] * len(values)), len(values))
    return mean_of(values, seed=seed)


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _lead(logits: Tensor, first: Tensor) -> Tensor:
    """How far a class leads the best of the others."""
    logits = logits.double()
    if logits.shape[1] == 1:
        return logits[:, 0] * (2 * first - 1)
    own = logits.gather(1, first[:, None])[:, 0]
    others = logits.scatter(1, first[:, None], float("-inf"))
    return own - others.max(dim=1).values
