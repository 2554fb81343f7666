from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pages.conftest import Small, model, picture, seed_network
from torch import nn

from pellucid.capture.trace import Trace, trace
from pellucid.errors import ArchiveError, NotFiniteError, SiteError
from pellucid.figures.colour import palette
from pellucid.insights import parting
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.untrained import untrained_model
from pellucid.pages.comparing import Side, make_comparison
from pellucid.pages.comparison import Comparison


def other_picture() -> object:
    image = picture()
    return replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1, ::-1]), name="mirrored.png")


def compared(**changes: object) -> Comparison:
    ours = model()
    return make_comparison(Side(model=ours, image=picture()), Side(model=ours, image=other_picture()), **changes)  # type: ignore[arg-type]


def against(other: Model) -> Comparison:
    return make_comparison(Side(model=model(), image=picture()), Side(model=other, image=picture()))


def test_distances_are_those_of_two_traces() -> None:
    ours = model()
    found = compared()
    traces = [trace(ours, image) for image in (picture(), other_picture())]
    assert [pair["first"] for pair in found.record["pairs"]] == [site.name for site in traces[0]]
    for pair in found.record["pairs"]:
        a, b = (t[pair["first"]].values.double() for t in traces)
        expected = (a - b).norm() / (a.norm() + b.norm()) * 2
        assert pair["distance"] == pytest.approx(float(expected), rel=1e-5)
        angle = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        assert pair["cosine"] == pytest.approx(float(angle), rel=1e-5)
        assert (pair["cka"] is not None) == (a.dim() == 4)


def test_a_picture_compared_with_itself_differs_nowhere() -> None:
    ours = model()
    found = make_comparison(Side(model=ours, image=picture()), Side(model=ours, image=picture()))
    assert {pair["distance"] for pair in found.record["pairs"]} == {0.0}
    assert all(pair["cka"] == pytest.approx(1) for pair in found.record["pairs"] if pair["cka"] is not None)
    assert [shown["share"] for shown in found.record["maps"]] == [None] * len(found.record["maps"])
    assert found.same_view


def test_several_passes_measure_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compared()
    monkeypatch.setattr(parting, "AT_ONCE", 1)
    assert compared().record["pairs"] == whole.record["pairs"]


def test_the_channels_drawn_are_those_with_the_largest_mean_squared_difference() -> None:
    ours, found = model(), compared(sites=["first"])
    a, b = (trace(ours, image)["first"].maps().astype(float) for image in (picture(), other_picture()))
    change = ((a - b) ** 2).mean(axis=(1, 2))
    (shown,) = found.record["maps"]
    assert [c["channel"] for c in shown["channels"]] == [int(i) for i in np.argsort(-change)[:3]]
    assert shown["share"] == pytest.approx(float(np.sort(change)[-3:].sum() / change.sum()))
    assert [c["change"] for c in shown["channels"]] == pytest.approx(list(np.sqrt(np.sort(change)[::-1][:3])))


def test_both_maps_share_a_scale_and_the_difference_has_zero_in_the_middle() -> None:
    ours, found = model(), compared(sites=["first"])
    (shown,) = found.record["maps"]
    channels = [c["channel"] for c in shown["channels"]]
    a, b = (trace(ours, image)["first"].maps()[channels] for image in (picture(), other_picture()))
    entries = found.arrays["maps 0"]
    assert entries.shape == (3, 3, 24, 24)
    low, high = shown["scales"][0]["low"], shown["scales"][0]["high"]
    for place, values in enumerate((a, b)):
        level = np.clip((values - low) / (high - low) * 240, 0, 239).astype(int)
        assert np.abs(level - entries[:, place].astype(int)).max() <= 1
    limit = shown["scales"][1]["high"]
    assert shown["scales"][1]["low"] == -limit
    blue, red = ((b - a)[np.newaxis] < -0.1 * limit), ((b - a)[np.newaxis] > 0.1 * limit)
    colours = palette("signed")[entries[:, 2]].astype(int)
    assert (colours[blue[0]][:, 2] > colours[blue[0]][:, 0]).all()
    assert (colours[red[0]][:, 0] > colours[red[0]][:, 2]).all()


def test_both_models_are_left_as_they_were() -> None:
    one, two = model(), untrained_model(model(), seed=0)
    digests = one.weights_digest, two.weights_digest
    make_comparison(Side(model=one, image=picture()), Side(model=two, image=picture()), seed=0)
    assert (one.weights_digest, two.weights_digest) == digests


def test_the_rows_are_the_leading_classes_of_both() -> None:
    found = against(model(module=untrained_model(model(), seed=4).module))
    rows = found.record["answer"]["rows"]
    for side in (0, 1):
        ranks = {row["sides"][side]["rank"] for row in rows}
        assert ranks >= {1, 2, 3, 4, 5}
    assert all(row["sides"][0]["name"] == row["sides"][1]["name"] for row in rows)
    assert len(rows) == len({row["sides"][0]["name"] for row in rows})


def test_classes_without_a_counterpart_stand_alone() -> None:
    torch.manual_seed(1)
    found = against(model(module=Small(classes=2).eval(), class_names=("dog", "yak")))
    named = {tuple(s["name"] if s else None for s in row["sides"]) for row in found.record["answer"]["rows"]}
    assert ("dog", "dog") in named
    assert (None, "yak") in named
    assert not any(names[1] in ("cat", "owl") for names in named)


def test_sites_without_a_partner_are_counted_and_named() -> None:
    small = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7))
    found = against(model(module=small.eval()))
    assert ("first", "0", "order") in [(p["first"], p["second"], p["by"]) for p in found.record["pairs"]]
    both = [len(found.record["pairs"]) + len(alone) for alone in found.record["alone"]]
    assert both == [side["sites"] for side in found.record["sides"]]
    assert "second" in found.record["alone"][0]


def test_pictures_of_two_sizes_are_compared_where_they_can_be() -> None:
    free = model(preprocessing=Preprocessing.none())
    found = make_comparison(Side(model=free, image=picture()), Side(model=free, image=picture(30, 30)))
    assert found.record["input"] is None
    assert "first" in found.record["alone"][0]
    assert any(pair["first"] == "last" for pair in found.record["pairs"])


def test_a_site_that_has_no_partner_cannot_be_drawn() -> None:
    with pytest.raises(SiteError, match="'last' has no feature maps with a partner"):
        compared(sites=["last"])
    with pytest.raises(SiteError, match="no site 'frist'; did you mean 'first'"):
        compared(sites=["frist"])


def test_nan_in_a_weight_is_refused_by_name() -> None:
    broken = model()
    broken.module.second.weight.data[0] = float("nan")  # type: ignore[union-attr, operator]
    with pytest.raises(NotFiniteError, match="'second'"):
        against(broken)


def test_a_saved_comparison_is_the_same(tmp_path: Path) -> None:
    made = make_comparison(Side(model=seed_network(), image=picture()), Side(model=seed_network(), image=picture()))
    file = made.save(tmp_path / "both")
    again = Comparison.load(file)
    assert again.record == made.record
    assert all(np.array_equal(again.arrays[name], array) for name, array in made.arrays.items())
    with pytest.raises(ArchiveError, match="holds comparison, expected a saved trace"):
        Trace.load(file)


def test_a_comparison_of_another_version_or_with_gaps_is_refused(tmp_path: Path) -> None:
    made = compared()
    newer = Comparison(record={**made.record, "comparison_version": 9}, arrays=made.arrays)
    with pytest.raises(ArchiveError, match="is a comparison of version 9, expected 1"):
        Comparison.load(newer.save(tmp_path / "newer"))
    less = Comparison(record={k: v for k, v in made.record.items() if k != "pairs"}, arrays=made.arrays)
    with pytest.raises(ArchiveError, match="lacks pairs"):
        Comparison.load(less.save(tmp_path / "less"))
