"""Molecules whose atoms are known to matter, in the format of graph-attribution.

Reference:
    Sanchez-Lengeling et al., Evaluating Attribution for Graph Neural Networks, NeurIPS 2020.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.archives import npz_arrays
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.text_tables import read_table

ATOMS = ("C", "N", "O", "S", "F", "P", "Cl", "Br", "Na", "Ca", "I", "B", "H", "*")
"""What the columns of the nodes mean; the last is any other element."""

_TRUTH = "true_raw_attribution_datadicts.npz"


def rationale_name(names: list[str]) -> str | None:
    """The name of the data set among the names of some files, or None."""
    if _TRUTH not in names or "x_true.npz" not in names:
        return None
    return next((each.removesuffix("_smiles.csv") for each in sorted(names) if each.endswith("_smiles.csv")), None)


def read_rationales(files: Mapping[str, bytes], name: str, *, called: str) -> GraphSet:
    """The molecules of a data set, with what is known about each atom.

    Where the truth is yes or no, `node_truth` marks an atom that is in any of the alternative reasons. Where it is a
    number for each atom, it becomes `node_contributions`, and the label is their sum.

    Args:
        files: The contents of the files by name.
        name: The name of the data set.
        called: What an error calls the folder, quoted.

    Raises:
        InputError: A file is missing, damaged, holds more than plain data, or does not fit the others.
    """
    needed = (f"{name}_smiles.csv", "x_true.npz", _TRUTH)
    if missing := [each for each in needed if each not in files]:
        raise InputError(f"{called} has no {', '.join(missing)}; copy the whole data set.")

    def records(file: str) -> list[Any]:
        arrays = npz_arrays(files[file], called=f"{called}, {file}")
        array: list[Any] = arrays.get("datadict_list", np.zeros(0)).ravel().tolist()
        if any(not isinstance(each, dict) for each in array):
            raise InputError(f"{called}, {file} holds more than records of molecules.")
        return array

    text = files[needed[0]].decode("utf-8", errors="replace")
    table = read_table(text, called=f"{called}, {needed[0]}", header=True)
    molecules, truths = records("x_true.npz"), records(_TRUTH)
    written = table.named(("smiles",))
    labels = _labels(files, called)
    counts = {len(molecules), len(truths), len(table.rows), len(molecules) if labels is None else len(labels)}
    if len(counts) > 1 or written is None:
        raise InputError(
            f"{called} has {len(table.rows):,} rows of SMILES, {len(molecules):,} molecules, {len(truths):,} truths "
            f"and {0 if labels is None else len(labels):,} labels, expected the same number of all; copy it again."
        )
    classes = _classes(name, labels)
    bonds = _bond_names(molecules)
    graphs = []
    for number, (molecule, truth) in enumerate(zip(molecules, truths, strict=True)):
        with naming(f"{called}, molecule {number}"):
            row = table.rows[number]
            label = None if labels is None else labels[number].item()
            if classes is not None and label is not None:
                label = int(label)
            known = _known(truth)
            graphs.append(
                _graph(
                    molecule,
                    smiles=row[written],
                    edge_type_names=bonds,
                    label=label,
                    class_names=classes,
                    name=readable(row[0]),
                    **known,
                )
            )
    with naming(called):
        return GraphSet(
            graphs=tuple(graphs),
            name=name,
            class_names=classes,
            node_type_names=ATOMS,
            edge_type_names=bonds,
            splits=_splits(files, name, len(graphs), called),
        )


def _bond_names(molecules: list[Any]) -> tuple[str, ...]:
    tables = [np.asarray(each.get("edges")) for each in molecules]
    others = any(each.ndim == 2 and each[:, len(BOND_TYPES) :].any() for each in tables)
    return (*BOND_TYPES, "other") if others else BOND_TYPES


def _graph(molecule: dict[str, Any], *, smiles: str, **given: Any) -> Graph:
    try:
        nodes, bonds = np.asarray(molecule["nodes"]), np.asarray(molecule["edges"])
        arcs = np.stack([np.asarray(molecule["senders"]), np.asarray(molecule["receivers"])])
    except (KeyError, ValueError) as error:
        raise InputError(f"nodes, edges, senders or receivers are missing or do not fit ({error}).") from error
    if nodes.ndim != 2 or nodes.shape[1] != len(ATOMS) or bonds.ndim != 2 or bonds.shape[1] != len(BOND_TYPES) + 1:
        raise InputError(
            f"nodes of shape {nodes.shape} and edges of shape {bonds.shape}, expected (nodes, {len(ATOMS)}) and "
            f"(arcs, {len(BOND_TYPES) + 1})."
        )
    return Graph.from_arcs(
        arcs,
        num_nodes=len(nodes),
        features=nodes,
        feature_names=ATOMS,
        edge_types=bonds.argmax(axis=1),
        body=Molecule(symbols=tuple(ATOMS[each] for each in nodes.argmax(axis=1)), smiles=smiles),
        **given,
    )


def _known(truth: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    values = np.asarray(truth.get("nodes"))
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise InputError(f"the truth holds {values.dtype} of shape {values.shape}, expected numbers for each atom.")
    if values.ndim == 1:
        return {"node_contributions": values}
    return {"node_truth": np.asarray((values > 0).any(axis=1))}


def _labels(files: Mapping[str, bytes], called: str) -> npt.NDArray[Any] | None:
    if "y_true.npz" not in files:
        return None
    return npz_arrays(files["y_true.npz"], called=f"{called}, y_true.npz").get("y", np.zeros(0)).ravel()


def _classes(name: str, labels: npt.NDArray[Any] | None) -> tuple[str, ...] | None:
    if labels is None or not np.isin(labels, (0, 1)).all():
        return None
    return f"no {name}", name


def _splits(files: Mapping[str, bytes], name: str, count: int, called: str) -> dict[str, npt.NDArray[np.bool_]]:
    file = f"{name}_traintest_indices.npz"
    found = {}
    for key, numbers in npz_arrays(files[file], called=f"{called}, {file}").items() if file in files else ():
        if numbers.dtype.kind not in "iu" or (numbers.size and not 0 <= numbers.min() <= numbers.max() < count):
            raise InputError(f"{called}, {file}: {readable(key)} holds more than numbers from 0 to {count - 1}.")
        found[key.removesuffix("_index")] = np.isin(np.arange(count), numbers)
    return found
