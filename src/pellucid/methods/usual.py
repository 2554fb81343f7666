"""The methods that are taken where the user names none: those of them that apply to the model, and why others do not.

A method that the user named is never replaced; that is what `explain_many` is for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid.capture import passes
from pellucid.capture.asks import Combine, Facts, Rules
from pellucid.capture.batches import as_batch
from pellucid.capture.hastening import Precision
from pellucid.errors import MethodError
from pellucid.inputs.image import Image
from pellucid.methods.applying import reason_of
from pellucid.methods.catalogue import method_from
from pellucid.methods.digesting import WeightsDigest
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import Batch
from pellucid.methods.progressing import Progress, Told
from pellucid.methods.sharing import ITEMS, Room, explained
from pellucid.methods.targets import check
from pellucid.models.model import Model

FALLBACK = "saliency"
"""What needs no more than a slope at the input, and stands in where too few of the usual methods apply."""
_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """What the usual methods gave.

    Attributes:
        explanations: One for each method that applies, in the methods' order; the one that stands in comes last.
        left_out: Why each of the others does not apply to this model, by name.
    """

    explanations: tuple[Explanation, ...]
    left_out: Mapping[str, str]


def explain_usual(
    model: Model,
    image: Image,
    *,
    methods: Sequence[str],
    target: str = "top:1",
    seed: int = 0,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Usual:
    """Explain a picture by those of some methods that apply to the model.

    Args:
        model: The model; it is left exactly as it was.
        image: The picture.
        methods: One name or more, in the order in which the explanations are wanted. Where fewer than two of them
            apply, or the only one does not, `saliency` stands in.
        target: What to explain.
        seed: For every random draw.
        precision: As for `explain`.
        progress: Called with the methods done, with the share that is done of those under way, and the methods in all.

    Raises:
        MethodError: None applies, not even `saliency`.
        InputError, ModelError, TargetError: Something cannot be used; says what to do.
    """
    check(target)
    known, tensor, images = as_batch(model, image)
    batch = Batch(
        model=known,
        weights_digest=WeightsDigest(known),
        tensor=tensor,
        images=images,
        seed=seed,
        precision=precision,
    )
    room = Room(size=ITEMS)
    made: dict[str, Explanation] = {}
    refused: dict[str, MethodError] = {}
    told = Told(progress=progress, total=len(methods))

    def attempt(names: list[str]) -> None:
        def under_way(share: float, before: int = len(made) + len(refused)) -> None:
            told.at(before + share * len(names))

        try:
            [by_method] = explained(batch, [method_from(name) for name in names], [target], room, under_way)
            made.update((name, found) for name, [found] in zip(names, by_method, strict=True))
        except MethodError as error:
            if len(names) == 1:
                refused[names[0]] = error
            else:
                # Nobody knows whose error it is, so each is tried alone.
                for name in names:
                    attempt([name])

    for group in _groups(methods, passes.facts(known.module, tensor), refused):
        attempt(group)
    if len(made) < min(_FEWEST, len(methods)) and FALLBACK not in methods:
        attempt([FALLBACK])
    if not made:
        raise refused[FALLBACK]
    told.at(len(methods))
    return Usual(
        explanations=tuple(made[name] for name in (*methods, FALLBACK) if name in made),
        left_out={name: reason_of(refused[name]) for name in methods if name in refused},
    )


def _groups(methods: Sequence[str], facts: Facts, refused: dict[str, MethodError]) -> list[list[str]]:
    """Which methods share a pass; each with rules of its own is alone. Whose reads are refused is in no group."""
    sharing: list[str] = []
    alone: list[list[str]] = []
    for name in methods:
        method = method_from(name)
        try:
            if isinstance(method, Combine):
                method.reads(facts)
        except MethodError as error:
            refused[name] = error
            continue
        if isinstance(method, Rules):
            alone.append([name])
        else:
            sharing.append(name)
    return [sharing, *alone] if sharing else alone
