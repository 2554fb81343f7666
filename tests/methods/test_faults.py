"""What goes wrong around a method: values that are no numbers, too little memory, hostile models. For every method."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.hostile import REFUSED, TWINS, Log, greedy
from tests.methods.nets import Net, net, pictures, seeded, state_of
from tests.methods.test_contracts import close, quick
from torch import Tensor

import pellucid
from pellucid import Explanation
from pellucid.capture.windows import Incremental
from pellucid.errors import CapacityError, MethodError, NotFiniteError, PellucidError
from pellucid.methods.catalogue import METHODS

pytestmark = pytest.mark.parametrize("method", list(METHODS))

NOT_DEFINED = {
    "deeplift": {"decides by its input"},  # a picture and its baseline go side by side
    "lrp": {"decides by its input"},  # the twin's choice has no rule
    "excitation-backprop": {"decides by its input"},
    "fullgrad": {"decides by its input"},
    "cam": {"one rectifier called three times", "rectifiers as functions"},
}
"""Hostile networks, or their twins, that a method refuses by name."""
SIDE_BY_SIDE = {"deeplift": 2}
"""Methods that need several pictures at once, and how many."""

BRIEF = {
    "integrated-gradients": "integrated-gradients(steps=2)",
    "occlusion": "occlusion(window=6, stride=6)",
    "smooth-grad": "smooth-grad(samples=2)",
    "expected-gradients": "expected-gradients(samples=2)",
    "gradient-shap": "gradient-shap(samples=2)",
    "feature-ablation": "feature-ablation(segments=grid:2)",
    "rise": "rise(masks=4, cells=2)",
    "lime": "lime(samples=8, segments=grid:2)",
    "kernel-shap": "kernel-shap(samples=12, segments=grid:2)",
    "shapley": "shapley(permutations=4, segments=grid:2)",
    "extremal-perturbation": "extremal-perturbation(steps=2, cells=3)",
    "sufficient-region": "sufficient-region(segments=grid:2)",
    "necessary-region": "necessary-region(segments=grid:2)",
}
"""Settings for as few passes as a method can make; methods that are not named run as in the contracts."""


def brief(method: str) -> str:
    return BRIEF.get(method, quick(method))


def hand_out(method: str, module: Any, x: Tensor) -> list[Explanation] | str:
    """What is explained, or by which sentence it is refused."""
    try:
        return list(pellucid.explain_many(module, [x], methods=[brief(method)], targets=["class:1"]))
    except MethodError as error:
        return str(error)


@cache
def of_twin(method: str, name: str) -> list[Explanation] | str:
    return hand_out(method, TWINS[name][1](), given(name))


def given(name: str) -> Tensor:
    if name == "decides by its input":
        return torch.cat([pictures(1), -pictures(1)])  # one for each way
    return pictures().to(memory_format=torch.channels_last) if name == "channels last" else pictures()


# -- hostile models


@pytest.mark.parametrize("name", TWINS)
def test_a_hostile_model_is_explained_as_its_plain_twin(method: str, name: str) -> None:
    made, twin = hand_out(method, TWINS[name][0](), given(name)), of_twin(method, name)
    if name in NOT_DEFINED.get(method, ()):
        said = [each for each in (made, twin) if isinstance(each, str)]
        assert said
        assert all("use " in sentence or sentence.startswith(f"{method} ") or "site '" in sentence for sentence in said)
        return
    assert not isinstance(made, str)
    assert not isinstance(twin, str)
    for one, other in zip(made, twin, strict=True):
        assert close(one, other)
        assert one.score == pytest.approx(other.score, rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_nobody_can_explain_is_refused_by_name(method: str, name: str) -> None:
    build, words = REFUSED[name]
    with pytest.raises(PellucidError, match=words):
        pellucid.explain(build(), pictures(), method=brief(method))


def test_one_logit_is_explained_as_the_same_among_several(method: str) -> None:
    one, several = net("one logit"), seeded(Net)
    one.load_state_dict({name: value[:1] if "last" in name else value for name, value in several.state_dict().items()})
    alone, among = (
        pellucid.explain(module, pictures(), method=brief(method), target="class:0") for module in (one, several)
    )
    if method in ("sufficient-region", "necessary-region"):  # they ask which class is in front
        assert alone.parts[0].axes == among.parts[0].axes
        return
    assert close(alone, among)


# -- values that are no numbers


@pytest.mark.parametrize(
    ("place", "value", "site"),
    [("one.weight", torch.inf, "one"), ("norm.running_var", torch.nan, "norm"), ("last.bias", torch.nan, "last")],
)
def test_the_first_site_that_is_not_finite_is_named_with_its_weight(
    method: str, place: str, value: float, site: str
) -> None:
    module = net("batch norm")
    module.state_dict()[place].view(-1)[0] = value
    before = state_of(module)
    words = f"NaN or infinite at site '{site}': its weight '{place}' is not finite; load weights that are whole"
    with pytest.raises(NotFiniteError, match=re.escape(words)):
        pellucid.explain(module, pictures(), method=brief(method))
    assert state_of(module) == before


def test_what_is_not_finite_on_the_way_is_never_hidden(method: str, tmp_path: Path) -> None:
    made, refusal = None, ""
    try:
        made = pellucid.explain(seeded(Log), pictures(), method=brief(method))
    except (MethodError, NotFiniteError) as error:
        refusal = str(error)
    if made is None:
        assert re.search(r"site '/(log|abs)'|at site '/log': its own weights are finite, .* baseline", refusal)
        return
    odd = [name for name, value in made.checks.items() if not np.isfinite(value)]
    odd += [part.name for part in made.parts if not np.isfinite(part.values).all()]
    told = [note for note in made.notes if re.search("not finite|NaN or infinite", note)]
    assert told or not odd
    made.save(tmp_path / "why")
    record = json.loads((tmp_path / "why.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert all(record["checks"][name] is None for name in odd if name in made.checks)
    if not np.isfinite(made.values).all():
        assert any("not finite" in flag for flag in made.overlay().legend["flags"])


# -- too little memory


def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits, tiles, run = SIDE_BY_SIDE.get(method, 1), list[int](), Incremental.run

    def cramped(self: Incremental, variants: Tensor, boxes: Tensor) -> Any:
        if len(variants) > fits:
            tiles.append(len(variants))
            raise torch.OutOfMemoryError("no memory left")
        return run(self, variants, boxes)

    module, x = greedy(fits), pictures(3)
    plain = list(pellucid.explain_many(seeded(Net), [x], methods=[brief(method)]))
    monkeypatch.setattr(Incremental, "run", cramped)
    before = state_of(module)
    made = list(pellucid.explain_many(module, [x], methods=[brief(method)]))
    assert state_of(module) | {"attributes": None} == before | {"attributes": None}
    assert all(close(one, other) for one, other in zip(made, plain, strict=True))
    assert module.tried
    # Three pictures are halved to one, and so are the variants of the first picture only; not those of each.
    assert len(module.tried) <= 4
    assert len(tiles) <= 3


def test_where_not_one_picture_fits_the_error_tells_its_bytes(method: str) -> None:
    module = greedy(0)
    with pytest.raises(CapacityError, match=r"one picture of 3×12×12 .*\(one takes 1,728 bytes, without the values"):
        pellucid.explain(module, pictures(), method=brief(method))
    assert module.tried == [1]
    module.free[0] = 1
    known = pellucid.explain(module, pictures(), method="saliency")
    module.free[0] = 0
    with pytest.raises(CapacityError, match=r"one picture of 3×12×12 .*\(the values of one take [\d,]{5,} bytes\)"):
        pellucid.explain(module, pictures(), method=brief(method))
    assert known.values.any()
