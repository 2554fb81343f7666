"""Comparisons of real networks on real photographs, against plain PyTorch."""

from pathlib import Path

import pytest
import torch

import pellucid
from pellucid.models.untrained import untrained_model
from pellucid.pages.compared import render_comparison
from pellucid.pages.comparing import Side, make_comparison
from pellucid.pages.page import LIMIT
from real_models import loaded, photographs, plain_hooks


def test_two_photographs_in_squeezenet(shared_data: Path) -> None:
    model = loaded("squeezenet1_0", shared_data)
    model.module.eval()
    images = [pellucid.read(file) for file in photographs("squeezenet1_0", shared_data, count=10)[0][:2]]
    found = make_comparison(*(Side(model=model, image=image) for image in images))
    leaves = [plain_hooks(model.module, model.tensor([image])) for image in images]
    measured = {pair["first"]: pair["distance"] for pair in found.record["pairs"]}
    for name in leaves[0]:
        a, b = (each[name].double() for each in leaves)
        assert measured[name] == pytest.approx(float(2 * (a - b).norm() / (a.norm() + b.norm())), rel=1e-5)
    assert found.record["alone"] == [[], []]
    assert len(render_comparison(found).encode()) < LIMIT


def test_mobilenet_against_the_same_network_before_it_learnt(
    shared_data: Path,
) -> None:
    model = loaded("mobilenet_v2", shared_data)
    image = pellucid.read(photographs("mobilenet_v2", shared_data, count=10)[0][0])
    twin = untrained_model(model, seed=0)
    mine = dict(model.module.named_parameters())
    assert all(not torch.equal(p, mine[name]) for name, p in twin.module.named_parameters())
    found = make_comparison(Side(model=model, image=image), Side(model=twin, image=image), seed=0)
    assert found.record["input"]["distance"] == 0
    assert all(pair["distance"] > 1 for pair in found.record["pairs"])
    # What the first layer sees is the picture in both; deep inside only one of them has learnt anything.
    cka = [pair["cka"] for pair in found.record["pairs"] if pair["cka"] is not None]
    assert cka[0] > 0.9
    assert max(cka[20:]) < 0.9
    assert len(render_comparison(found, lang="ko").encode()) < LIMIT


def test_a_shallow_and_a_deep_residual_network_are_aligned_as_far_as_they_go(
    shared_data: Path,
) -> None:
    shallow, deep = (loaded(name, shared_data) for name in ("resnet20_cifar10", "resnet56_cifar10"))
    image = pellucid.read(photographs("resnet20_cifar10", shared_data, count=10)[0][0])
    found = make_comparison(Side(model=shallow, image=image), Side(model=deep, image=image))
    assert all(pair["by"] == "name" for pair in found.record["pairs"])
    assert [len(alone) for alone in found.record["alone"]] == [0, 221 - 77]
    assert all(name.startswith("layer") for name in found.record["alone"][1])
