import pytest
import torch

import pellucid
from pellucid.models.recipes.carbonyl import CAFFEINE, carbonyl_network, has_carbonyl


@pytest.mark.parametrize(
    ("smiles", "there"),
    [("CC(=O)C", True), ("O=C=O", True), ("CCO", False), ("CS(=O)C", False), ("C=CO", False), (CAFFEINE, True)],
)
def test_a_carbonyl_group_is_a_double_bond_between_carbon_and_oxygen(smiles: str, there: bool) -> None:
    assert has_carbonyl(pellucid.read(f"smiles:{smiles}")) == there


def test_the_network_learns_it_and_generalises_and_draws_nothing_from_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    network, accuracy = carbonyl_network()
    assert torch.equal(before, torch.random.get_rng_state())
    assert accuracy["learnt"] == 1.0
    assert accuracy["held out"] >= 0.8
    again, _ = carbonyl_network()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
