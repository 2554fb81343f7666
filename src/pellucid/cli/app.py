"""All commands as one typer app. Nothing here loads torch."""

from typing import Annotated

import typer

from pellucid import __version__
from pellucid.cli.compare import compare
from pellucid.cli.demo import demo
from pellucid.cli.doctor import doctor
from pellucid.cli.expanding import expanded
from pellucid.cli.explain import explain
from pellucid.cli.filters import filters
from pellucid.cli.graph import graph
from pellucid.cli.listing import list_names
from pellucid.cli.maps import maps
from pellucid.cli.report import report
from pellucid.cli.trace import trace
from pellucid.cli.train import train

app = typer.Typer(
    name="pellucid",
    help="See what a convolutional network does with a picture, or a graph network with a graph, layer by layer, and "
    "why it answers as it does.",
    epilog="Begin with: pellucid demo. Exit codes: 0 ok, 1 failed, 2 usage, 3 some inputs skipped, 4 refused.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

for _name, _command in (
    ("demo", demo),
    ("explain", explain),
    ("maps", maps),
    ("filters", filters),
    ("trace", trace),
    ("compare", compare),
    ("report", report),
    ("list", list_names),
    ("train", train),
    ("doctor", doctor),
):
    app.command(_name)(expanded(_command))
app.add_typer(graph, name="graph")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pellucid {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
