"""Several methods on one picture, for a comparison: those that are named, and of all others those that apply.

A method that the user named is never left out; one that came in with `all` is, where it refuses the model, and the
reason is kept.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pellucid.capture import reading
from pellucid.capture.asks import Combine, Facts, Method, Probe, Reads, Rules
from pellucid.capture.batches import as_batch
from pellucid.capture.passes import Spent
from pellucid.errors import MethodError, NotFiniteError, PellucidError, SettingError
from pellucid.inputs.image import Image
from pellucid.methods.catalogue import METHODS, build, method_from, name_of, text_of
from pellucid.methods.channel_sites import OfChannels
from pellucid.methods.digesting import WeightsDigest
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import Batch
from pellucid.methods.progressing import Progress, Told
from pellucid.methods.sharing import ITEMS, Room, explained
from pellucid.methods.targets import check
from pellucid.models.model import Model

ALL = "all"
"""Stands for every registered method with its usual settings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applied:
    """What several methods gave.

    Attributes:
        explanations: One for each method that was named or applies, in the order of the methods.
        left_out: Why each of the others does not apply, by the method's name.
    """

    explanations: tuple[Explanation, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A method of the comparison, and whether it was named rather than being one of all."""

    method: Method
    named: bool


def chosen_methods(methods: Sequence[str | Method]) -> list[Chosen]:
    """The methods that some words mean: each once, the named ones first, then what `all` adds to them.

    Args:
        methods: Names, text forms or instances; `all` stands for every method that is not named.

    Raises:
        MethodError: No such method.
        SettingError: No method, a method twice, or a setting that makes no sense.
    """
    if isinstance(methods, str) or not isinstance(methods, Sequence) or not methods:
        raise SettingError(
            "methods", given=methods, expected="a list with at least one method", hint="e.g. ['grad-cam', 'saliency']"
        )
    everything = any(isinstance(each, str) and each.strip() == ALL for each in methods)
    named: dict[str, Method] = {}
    for each in methods:
        if isinstance(each, str) and each.strip() == ALL:
            continue
        method = method_from(each)
        if text_of(method) in named:
            raise SettingError(
                "methods", given=f"{text_of(method)} twice", expected="each method once", hint="change a setting of one"
            )
        named[text_of(method)] = method
    found = [Chosen(method=method, named=True) for method in named.values()]
    if everything:
        known = {name_of(method) for method in named.values()}
        found += [Chosen(method=build(name, {}), named=False) for name in METHODS if name not in known]
    return found


def explain_by_each(
    model: Model,
    image: Image,
    *,
    methods: Sequence[str | Method],
    target: str = "top:1",
    seed: int = 0,
    progress: Progress | None = None,
) -> Applied:
    """Explain a picture by each of some methods; those that only combine what is read share their passes.

    Args:
        model: The model; it is left exactly as it was.
        image: The picture.
        methods: As for `chosen_methods`.
        target: What to explain, the same for all.
        seed: For every random draw.
        progress: Called with the share of the work that is done, times the methods in all, and the methods in all.

    Raises:
        MethodError: A named method does not apply, or none of all does.
        InputError, ModelError, TargetError: Something cannot be used; says what to do.
    """
    check(target)
    chosen = chosen_methods(methods)
    known, tensor, images = as_batch(model, image)
    batch = Batch(model=known, weights_digest=WeightsDigest(known), tensor=tensor, images=images, seed=seed)
    room = Room(size=ITEMS)
    made: dict[int, Explanation] = {}
    refused: dict[int, PellucidError] = {}
    elsewhere: dict[int, PellucidError] = {}
    for i, each in enumerate(chosen):
        if isinstance(each.method, OfChannels):
            name = name_of(each.method)
            error = MethodError(f"{name} gives values of channels, which lie nowhere in the picture; use explain.")
            if each.named:
                raise error
            elsewhere[i] = error

    told = Told(progress=progress, total=len(chosen))
    # Finds out, besides sites, what depends on what; the pass that methods share is then run once.
    _, facts, _ = reading.read(known.module, tensor, reads=lambda _: Reads(), resolve=[], spent=Spent())
    prices = [0 if i in elsewhere else _price(each.method, facts) for i, each in enumerate(chosen)]

    def attempt(places: list[int]) -> None:
        mine = sum(prices[i] for i in places)

        def under_way(share: float, before: int = sum(prices[i] for i in {*made, *refused})) -> None:
            told.at(len(chosen) * (before + share * mine) / sum(prices))

        try:
            [by_method] = explained(batch, [chosen[i].method for i in places], [target], room, under_way)
        except NotFiniteError:
            raise  # the model's own, so it is that of every method
        except PellucidError as error:
            if len(places) == 1:
                if chosen[places[0]].named:
                    raise
                refused[places[0]] = error
                return
            # Nobody knows whose error it is, so each is tried alone.
            for place in places:
                attempt([place])
            return
        made.update((i, found) for i, [found] in zip(places, by_method, strict=True))

    for group in _groups([each.method for each in chosen]):
        if left := [i for i in group if i not in elsewhere]:
            attempt(left)
    refused |= elsewhere  # last: where none applies, what the others say is what is wrong
    if not made:
        raise next(iter(refused.values()))
    told.at(len(chosen))
    return Applied(
        explanations=tuple(made[i] for i in sorted(made)),
        left_out={name_of(chosen[i].method): reason_of(refused[i]) for i in sorted(refused)},
    )


def settings_that_differ(explanation: Explanation) -> dict[str, object]:
    """The settings of an explanation's method that are not its usual ones; all, of a method that is not known here."""
    try:
        fields = dataclasses.fields(METHODS[explanation.method])
    except MethodError:
        return dict(explanation.settings)
    usual = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    # By name, as a saved explanation has them: the page of a saved gallery is the same one.
    return {
        name: value for name, value in sorted(explanation.settings.items()) if name not in usual or usual[name] != value
    }


def reason_of(error: PellucidError) -> str:
    """Why a method was left out: the error without what to do next, since that has been done already."""
    return str(error).split("; ")[0].removesuffix(".")


def _price(method: Method, facts: Facts) -> int:
    """How many items go forward or backward for a method, at least one; also for one that will refuse."""
    try:
        passes = method.passes(facts) if isinstance(method, Probe) else None
    except PellucidError:
        return 1
    return 1 if passes is None else max(1, passes.forwards + passes.backwards)


def _groups(methods: Sequence[Method]) -> Iterator[list[int]]:
    """Which methods are made together: those that only combine what one pass reads; each of the others is alone.

    One that probes could share that pass, too; alone, its refusal after many passes costs nobody else's work.
    """
    sharing = [i for i, each in enumerate(methods) if isinstance(each, Combine) and not isinstance(each, Rules)]
    if sharing:
        yield sharing
    yield from ([i] for i in range(len(methods)) if i not in sharing)
