"""Class activation mapping proper: for heads that average over positions and then apply one class layer."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Facts, Parts, Reads, Seen
from pellucid.capture.operations import SOFTMAXES
from pellucid.capture.sites import Site
from pellucid.errors import MethodError
from pellucid.methods.cam_sites import Sign, check_word, signed_parts
from pellucid.methods.catalogue import register

_PASSIVE = ("dropout", "identity", "flatten")


@register("cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class CAM:
    """What each cell of the last feature maps gives to the score, where the head allows to say that exactly.

    The head must average each map over all positions and then apply one class layer, linear or a 1×1 convolution. The
    class layer may also come first, and the average over its maps last (SqueezeNet). Values are in units of the score:
    their mean over the cells is the score without the class layer's bias, or the score itself where the average comes
    last.

    Attributes:
        sign: "both" keeps what speaks against the target, as the paper does; "positive" cuts at 0.

    Reference:
        Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, eq. 2.
    """

    sign: Sign = "both"

    def __post_init__(self) -> None:
        check_word("sign", self.sign, Sign)

    def reads(self, facts: Facts) -> Reads:
        """The maps that are averaged, and the class weights: the slopes at the averages."""
        maps, averages = head_of(facts)
        return Reads(values=frozenset({maps.name}), slopes=frozenset({averages.name}))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """Weigh each map by its class weight."""
        maps, averages = head_of(facts)
        raw = class_map(seen.values[maps.name], seen.slopes[averages.name].flatten(1))
        return signed_parts([maps], [raw], facts, sign=self.sign)


def class_map(
    maps: Float[Tensor, "batch channels height width"], weights: Float[Tensor, "batch channels"]
) -> Float[Tensor, "batch height width"]:
    """The sum of the maps, each times the weight with which its mean enters the score."""
    return (weights[:, :, None, None] * maps).sum(dim=1)


def head_of(facts: Facts) -> tuple[Site, Site]:
    """The maps that are averaged over all positions, and their averages, from which the score is a weighted sum.

    Raises:
        MethodError: The head is another one; says where.
    """
    by_name = {site.name: site for site in facts.sites}
    last = by_name.get(facts.class_site or "")
    if last is None:
        raise _refusal("no class layer was found")
    if last.kind == "conv" and any(side != 1 for side in last.settings.get("kernel_size", ())):
        raise _refusal(f"class layer {last.name!r} is a {last.op} whose kernel is larger than 1×1")
    if last.op != "linear" and last.kind != "conv":
        raise _refusal(f"class layer {last.name!r} is {last.op}")
    before, after = _before(last, by_name), _after(last, facts.sites)
    if before is not None and _averages(before, by_name, facts):
        if after:
            raise _refusal(f"after class layer {last.name!r} comes {after[0].name!r} ({after[0].op})")
        return by_name[before.inputs[0]], before
    if last.kind == "conv" and max(last.shape[2:], default=1) > 1:
        average = next((site for site in after if _averages(site, by_name, facts)), None)
        between = [site for site in after if site is not average and site.kind != "activation"]
        if average is not None and not between and after[-1] is average:
            return by_name[average.inputs[0]], average
        raise _refusal(f"the maps of class layer {last.name!r} are not simply averaged")
    what = "the picture itself" if before is None else f"{before.name!r} ({before.op})"
    raise _refusal(f"class layer {last.name!r} follows {what}, which is no average over all positions")


def _before(site: Site, by_name: dict[str, Site]) -> Site | None:
    """What a site takes, past what does nothing; None for the picture, or where it takes several."""
    while True:
        found = [by_name[name] for name in site.inputs if name in by_name]
        if len(found) != 1:
            return None
        site = found[0]
        if site.kind not in _PASSIVE:
            return site


def _after(site: Site, sites: Sequence[Site]) -> list[Site]:
    """What depends on a site, without what does nothing and without a final softmax."""
    reached, found = {site.name}, []
    for each in sites:
        if reached & set(each.inputs):
            reached.add(each.name)
            if each.kind not in _PASSIVE and each.op not in SOFTMAXES:
                found.append(each)
    return found


def _averages(site: Site, by_name: dict[str, Site], facts: Facts) -> bool:
    """Whether a site is the mean of each feature map over all its positions."""
    maps = by_name.get(site.inputs[0]) if len(site.inputs) == 1 else None
    if maps is None or maps.name not in facts.channels_first():
        return False
    if site.shape[:2] != maps.shape[:2] or any(side != 1 for side in site.shape[2:]):
        return False
    if site.op == "adaptive_avg_pool2d":
        return True
    if site.op == "avg_pool2d":
        kernel, padding = (
            _pair(site.settings.get(name, given)) for name, given in (("kernel_size", 0), ("padding", 0))
        )
        return kernel == maps.shape[2:] and padding == (0, 0)
    if site.op == "mean":
        dims = site.settings.get("dim")
        given = {dims} if isinstance(dims, int) else set(dims or ())
        # Over both sides, or over the positions laid out in one row.
        return {dim % 4 for dim in given} == {2, 3} or (len(given) == 1 and {dim % 3 for dim in given} == {2})
    return False


def _pair(given: object) -> tuple[int, ...]:
    sides = tuple(given) if isinstance(given, list | tuple) else (given, given)
    return sides if len(sides) == 2 else sides * 2


def _refusal(why: str) -> MethodError:
    return MethodError(
        "cam needs an average of each feature map over all positions and one class layer (linear or a 1×1 "
        f"convolution), and in this model {why}; use hirescam or grad-cam."
    )
