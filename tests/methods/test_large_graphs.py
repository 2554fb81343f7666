"""A social network of 22 470 nodes: read, traced, explained and drawn, and nothing of nodes × nodes is ever made."""

import subprocess
import sys
from pathlib import Path

import pytest

# With numbers of four bytes, a matrix of nodes × nodes would take 2.0 GB.
CHILD = """
import resource, sys
import numpy, scipy.sparse, torch, pellucid
from pellucid.models.gcn import GCN
import pellucid.capture.graph_trace, pellucid.methods.explaining, pellucid.figures.graph, pellucid.figures.layout

torch.set_num_threads(1)
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 1_500_000_000, resource.RLIM_INFINITY))

graph = pellucid.read(sys.argv[1])
assert (graph.num_nodes, graph.num_edges, graph.num_features) == (22_470, 171_002, 4_714)
torch.manual_seed(0)
model = GCN(graph.num_features, 4)
trace = pellucid.trace(model, graph, keep="statistics")
assert tuple(trace.output.shape) == (22_470, 4)
METHODS = "saliency", "integrated-gradients(steps=8)", "grad-cam", "gnn-explainer(epochs=20)", "occlusion(of=edges)"
for method in METHODS:
    why = pellucid.explain(model, graph, method=method, target="node:17")
    assert why.subject.nodes.size < 600
    assert len(why.draw().svg) < 400_000
assert pellucid.read([(0, 1), (1, 2)]).num_nodes == 3
bare = pellucid.Graph(edges=graph.edges, num_nodes=graph.num_nodes)
why = pellucid.explain(GCN(bare.num_nodes, 4), bare, method="grad-cam", target="node:17")
print("done", why.target.text)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is set as Linux has it")
def test_a_large_graph_fits_where_a_dense_matrix_would_not(shared_data: Path) -> None:
    folder = shared_data / "graphs" / "musae_facebook"
    done = subprocess.run([sys.executable, "-W", "error", "-c", CHILD, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("done ")
