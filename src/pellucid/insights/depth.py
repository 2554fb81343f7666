"""Form and class along the depth: what is left of the picture at each site, and what is there of the answer.

Three numbers per site, measured on a probe set of pictures:

- form kept: R² of a ridge regression from a position's channels to its block of luminance, on pictures that it never
  saw (`form.py`);
- class emerged: accuracy of a linear probe on features averaged over positions (`probe.py`);
- arrangement needed: the share of pictures whose first class changes when all positions of the site are put into
  another order, one order for all channels and pictures, and how far the first class's lead over the others falls.
  Shuffled early sites are unlike anything that the network has seen, so a change there says little about position.

The same numbers for the same architecture with random weights are the control: random networks lose form too.
"""

from collections.abc import Callable, Sequence

from pellucid.capture import passes
from pellucid.capture.batches import as_batch
from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.image import Image
from pellucid.insights.cuts import cut_sites
from pellucid.insights.depth_results import Depth, DepthSite
from pellucid.insights.probe import chance, usable
from pellucid.insights.probe_set import ProbeSet
from pellucid.models.model import Model
from pellucid.models.untrained import untrained

LEAST_PICTURES = 16
LEAST_SITES = 3
"""The first, the last with positions, and the class layer."""
_BYTES = 1.2e9
"""Most bytes of values that one pass may keep; it decides how many pictures go into a batch."""

Progress = Callable[[int, int], None]


def along_depth(
    model: Model,
    pictures: Sequence[Image],
    *,
    labels: Sequence[str] | None = None,
    shown: Image | None = None,
    source: str = "folder",
    sites: int = 10,
    repeats: int = 2,
    twin: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Depth:
    """Measure form and class along the depth of a network.

    Args:
        model: The network; it is left exactly as it was.
        pictures: The probe set: 16 or more, better 64 and more. A picture that comes again is left out.
        labels: The class of each picture; None takes what the model itself decides.
        shown: A picture that is read back at every site; it never takes part in learning.
        source: What to call the probe set: "folder" or "drawings".
        sites: At most so many sites, 3 or more, all of them cuts: every path passes them.
        repeats: Orders that are drawn for each site.
        twin: Whether to measure the untrained twin too.
        seed: For every random draw.
        progress: Called with the steps done and the steps in all.

    Raises:
        InputError: There are too few different pictures, or labels for another number of them.
        ModelError: The model cannot be used.
        SettingError: Too few sites or repeats, or a seed below 0.
    """
    for name, given, least in (("sites", sites, LEAST_SITES), ("repeats", repeats, 1), ("seed", seed, 0)):
        if given < least:
            raise SettingError(name, given=given, expected=f"{least} or more")
    if isinstance(pictures, Graph):
        raise InputError("a graph was given, expected pictures; use along_graph_depth for graphs.")
    # Each picture once: a copy among the held-out ones has been learnt from.
    numbers = {picture.digest: number for number, picture in reversed(list(enumerate(pictures)))}
    mine = sorted(number for digest, number in numbers.items() if shown is None or digest != shown.digest)
    others = [pictures[number] for number in mine]
    if len(others) < LEAST_PICTURES:
        raise InputError(
            f"the probe set has {len(others)} different pictures, expected {LEAST_PICTURES} or more (64 and more give "
            "narrow intervals); give a larger folder, or leave it out to use pellucid's own drawings."
        )
    if labels is not None and len(labels) != len(pictures):
        raise InputError(f"{len(labels)} labels were given for {len(pictures)} pictures; give one for each.")
    if labels is not None:
        labels = [labels[number] for number in mine]
    _, batch, _ = as_batch(model, others[0])
    known = passes.facts(model.module, batch)
    chosen = cut_sites(known, most=sites)
    per_picture = max(1, sum(site.nbytes for site in known.sites))
    probe = ProbeSet(
        model=model,
        pictures=tuple(others),
        shown=shown,
        sites=tuple(chosen),
        size=max(1, min(16, int(_BYTES / per_picture))),
        repeats=repeats,
        seed=seed,
    )
    steps = (3 * len(probe.starts)) * (2 if twin else 1)
    done = iter(range(1, steps + 1))

    def step() -> None:
        number = next(done, steps)
        if progress is not None:
            progress(number, steps)

    decided = probe.decisions()
    if labels is None:
        labels = [model.class_name(index) for index in decided]
        origin = "decisions"
    else:
        origin = "labels"
    judged, classes = usable(labels)
    found = probe.measured(model.module, labels, judged, step)
    control: tuple[DepthSite, ...] = ()
    if twin:
        other = untrained(model.module, seed=seed)
        passes.settle_norms(other, probe.batches_of_several())
        control = probe.measured(other, labels, judged, step)
    return Depth(
        sites=found,
        twin=control,
        pictures=len(others),
        held=len(probe.held),
        source=source,
        labels=origin,
        classes=len(classes),
        probed=len(judged),
        chance=chance([labels[i] for i in judged]) if len(judged) else None,
        repeats=repeats,
        seed=seed,
    )
