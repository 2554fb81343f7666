"""`pellucid graph`: the commands about graphs, as commands of a command."""

import typer

from pellucid.cli.expanding import expanded
from pellucid.cli.graph_explain import graph_explain
from pellucid.cli.graph_matrices import graph_matrices
from pellucid.cli.graph_show import graph_show
from pellucid.cli.graph_trace import graph_trace

graph = typer.Typer(
    name="graph",
    help="Look at a graph, its matrices, and what a graph network does with it.",
    add_completion=False,
    no_args_is_help=True,
)

for _name, _command in (
    ("show", graph_show),
    ("matrices", graph_matrices),
    ("trace", graph_trace),
    ("explain", graph_explain),
):
    graph.command(_name)(expanded(_command))
