"""The digest that is computed beside the passes is that of the weights between them."""

import pytest
import torch
from tests.methods.nets import model, pictures
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.methods import digesting
from pellucid.methods.digesting import WeightsDigest


class Large(nn.Module):
    """Large enough for a thread; on the way it does what `act` says to its weights."""

    def __init__(self, act: str = "nothing") -> None:
        super().__init__()
        self.one, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.spare = nn.Parameter(torch.ones(1_200_000))
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        if self.act == "max-norm":
            self.one.weight.data.renorm_(2, 0, 0.1)
        if self.act == "count":
            self.norm.running_mean += 1  # type: ignore[operator]
        return self.last(self.norm(self.one(x)).relu().mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("act", ["nothing", "max-norm", "count"])
def test_an_explanation_has_the_digest_of_the_weights_between_passes(act: str) -> None:
    wrapped = model(Large(act))
    before = wrapped.weights_digest
    assert pellucid.explain(wrapped, pictures(), method="saliency", target="class:1").weights_digest == before
    assert wrapped.weights_digest == before


def test_what_was_read_while_a_pass_wrote_to_weights_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = model(Large("max-norm"))
    before = wrapped.weights_digest
    monkeypatch.setattr(digesting, "digest_of", lambda _: "of weights that were half written")
    digest = WeightsDigest(wrapped)
    passes.answer(wrapped.module, pictures())
    assert digest.value() == before


def test_weights_that_the_user_changes_meanwhile_are_seen() -> None:
    wrapped = model(Large())
    digest = WeightsDigest(wrapped)
    with torch.no_grad():
        wrapped.module.one.weight += 1  # type: ignore[operator, union-attr]
    assert digest.value() == wrapped.weights_digest
