"""The benchmark against the known truth runs from training to table on a tiny graph with planted motifs."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.inputs.graph import Graph

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("graph_truth", BENCHMARKS / "graph_truth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "graph_truth", module)
    spec.loader.exec_module(module)
    return module


def planted() -> Graph:
    """A path of eight nodes, with a triangle hung on every second one."""
    path = [(node, node + 1) for node in range(7)]
    triangles = [pair for a in (8, 11, 14, 17) for pair in ((a, a + 1), (a, a + 2), (a + 1, a + 2))]
    joints = [(2 * number, a) for number, a in enumerate((8, 11, 14, 17))]
    everyone = np.ones(20, dtype=bool)
    return Graph(
        edges=path + triangles + joints,
        features=np.ones((20, 3)),
        labels=[0] * 8 + [1] * 12,
        edge_truth=[False] * 7 + [True] * 12 + [False] * 4,
        splits={"train": everyone, "val": everyone, "test": everyone},
        name="planted",
    )


def test_every_method_gets_a_row_and_the_table_has_them_all(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    race = benchmark.Race(title="Planted", file="", nodes=(8, 11, 14), published=0.9, replicated=0.5)
    monkeypatch.setitem(benchmark.RACES, "planted", race)
    rows = list(benchmark.rows_of("planted", planted(), seed=0, epochs=40))
    assert len(rows) == sum(len(orders) for _, orders in benchmark.METHODS)
    assert all(0 <= row["auc"] <= 1 and row["targets"] == 3 for row in rows)
    table = benchmark.markdown(rows).splitlines()
    assert len(table) == 2 + len(rows)
    assert all("Planted" in line for line in table[2:])
