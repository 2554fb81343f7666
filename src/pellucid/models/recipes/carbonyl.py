"""A small graph network that tells molecules with a carbonyl group (C=O) from those without; for the demo.

What it has to find is known, so its explanations can be judged by eye: the oxygen at the double bond, and its carbon.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from pellucid.inputs.graph import BondType, Graph
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.reading import read
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.recipes.fitting import repeatable

CLASS_NAMES = ("no carbonyl", "carbonyl")
CAFFEINE = "Cn1cnc2c1c(=O)n(C)c(=O)n2C"
"""What the demo asks about; it is in neither set below."""

_LEARNT = (
    "CC(=O)C", "CCC(=O)CC", "CC(=O)O", "CCC(=O)O", "CC(=O)OC", "CCOC(=O)C", "CC(=O)N", "CN(C)C=O", "O=C1CCCCC1",
    "O=Cc1ccccc1", "CC(=O)c1ccccc1", "OC(=O)c1ccccc1", "O=C1CCCN1", "NC(=O)c1ccccc1", "CC=O", "O=C1NC(=O)c2ccccc12",
    "COC(=O)c1ccccc1O", "CN1CCCC1=O", "O=c1cc[nH]cc1", "CC(C)C(=O)O",
    "CCO", "CCCO", "COC", "CCOCC", "CCN", "CN(C)C", "C1CCCCC1", "c1ccccc1", "Cc1ccccc1", "Oc1ccccc1", "Nc1ccccc1",
    "C1CCNCC1", "C1COCCO1", "c1ccncc1", "CC#N", "OCCO", "COc1ccccc1", "CC(C)O", "c1ccc2[nH]ccc2c1", "NCCO",
)  # fmt: skip
_HELD_OUT = (
    "CCCC(=O)C", "CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O", "O=C1C=CC(=O)C=C1", "O=c1[nH]cnc2[nH]cnc12",
    "CCCCO", "OCC(O)CO", "Cn1ccnc1", "CC(N)Cc1ccccc1", "COCCOC",
)  # fmt: skip


def carbonyl_network(
    *, seed: int = 0, epochs: int = 150, progress: Callable[[int, int], None] | None = None
) -> tuple[GCN, dict[str, float]]:
    """Train the network from nothing; needs RDKit, which reads the molecules.

    Args:
        seed: For the first weights and for dropout; the global generators are left as they were.
        epochs: Steps over all molecules.
        progress: Called with the steps done and the steps in all.

    Returns:
        The network in evaluation mode, and its accuracy on the molecules that it learnt from and on ten others.

    Raises:
        MissingExtraError: RDKit is not installed.
    """
    learnt, held_out = ([_molecule(smiles) for smiles in group] for group in (_LEARNT, _HELD_OUT))
    with repeatable(seed, 1):
        network = GCN(learnt[0].num_features, len(CLASS_NAMES), level="graph", readout="sum", dropout=0.0)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        given, labels = _batch(network, learnt)
        for step in range(epochs):
            optimiser.zero_grad()
            loss = F.cross_entropy(network(**given), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if progress is not None:
                progress(step + 1, epochs)
    network.eval()
    return network, {"learnt": _accuracy(network, learnt), "held out": _accuracy(network, held_out)}


def has_carbonyl(graph: Graph) -> bool:
    """Whether a molecule has a double bond between carbon and oxygen; of a ring's aromatic bonds it is none."""
    assert isinstance(graph.body, Molecule)
    assert graph.edge_types is not None
    ends = np.array(graph.body.symbols)[graph.edges[graph.edge_types == BondType.DOUBLE]]
    return any(set(pair) == {"C", "O"} for pair in ends.tolist())


def _molecule(smiles: str) -> Graph:
    found = read(f"smiles:{smiles}")
    assert isinstance(found, Graph)
    return found


def _batch(network: GCN, graphs: list[Graph]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    arguments = arguments_of(network, graphs)
    labels = torch.tensor([int(has_carbonyl(graph)) for graph in graphs])
    return {"x": arguments.x, "edge_index": arguments.edge_index, "batch": arguments.batch}, labels


@torch.no_grad()
def _accuracy(network: GCN, graphs: list[Graph]) -> float:
    given, labels = _batch(network, graphs)
    return float((network(**given).argmax(1) == labels).float().mean())
