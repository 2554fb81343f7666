"""Edges one a row: in memory, or in a CSV file with or without a header; and a table of nodes beside it."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError, with_article
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.text_tables import Table, read_table, whole

_FROM = ("source", "from", "src", "sender", "id_1", "id1", "node_1", "node1", "u", "start", "head", "citing")
_TO = ("target", "to", "dst", "receiver", "id_2", "id2", "node_2", "node2", "v", "end", "tail", "cited")
_WEIGHT = ("weight", "weights", "edge_weight", "w", "value")
_TYPE = ("type", "edge_type", "relation", "kind", "label")
_ID = ("id", "node", "node_id", "name", "key")
_NAME = ("name", "page_name", "node_name", "title")
_LABEL = ("label", "class", "page_type", "target", "type", "y")


def from_edge_list(edges: Iterable[Sequence[Any]], *, directed: bool | None = None, **rest: Any) -> Graph:
    """A graph from pairs (from, to) or triples (from, to, weight), one for each edge.

    Args:
        edges: The edges. Ends are node numbers without gaps, or any hashable names, which become `node_names` in the
            order of their appearance; whole numbers with gaps are names too, in their order.
        directed: Whether edges have a direction; None means no.
        rest: As for `Graph`.

    Raises:
        InputError: An edge is no pair or triple.
    """
    rows = [tuple(each) for each in edges]
    wrong = [place for place, row in enumerate(rows) if len(row) != len(rows[0]) or len(row) not in (2, 3)]
    if wrong:
        raise InputError(
            f"edge {wrong[0]} has {len(rows[wrong[0]])} entries, expected (from, to) or (from, to, weight), alike for "
            f"all edges ({len(wrong)} such)."
        )
    ends = [end for row in rows for end in row[:2]]
    numbers, named = _numbered(ends)
    given: dict[str, Any] = {"num_nodes": None if numbers.size == 0 else int(numbers.max()) + 1, **named}
    if rows and len(rows[0]) == 3:
        given["edge_weights"] = [row[2] for row in rows]
    return Graph(edges=numbers.reshape(-1, 2), directed=bool(directed), **(given | rest))


def read_edge_list(
    text: str, *, called: str, name: str, directed: bool | None = None, nodes: Table | None = None
) -> Graph:
    """A graph from a file with one edge a row.

    The first two columns are the ends, unless a header names others; a column named weight holds weights, one named
    type holds edge types. Without a header a third column holds weights if its cells are numbers, else types.

    Args:
        text: The whole file.
        called: What an error calls it, quoted.
        name: What to call the graph.
        directed: Whether rows have a direction; None means no, unless a column says "directed".
        nodes: A table of nodes: an id, and any of label, name and columns of numbers, which become features.

    Raises:
        InputError: A row is damaged; names its line.
    """
    table = _with_header(read_table(text, called=called, header=False))
    if table.width < 2:
        raise InputError(
            f"{called} has one column, expected two for the ends of an edge, separated by commas, tabs or spaces."
        )
    notes: list[str] = []
    columns = _columns(table)
    given: dict[str, Any] = {}
    if (at := columns.get("type")) is not None:
        kinds = table.column(at)
        nameless = [place for place, kind in enumerate(kinds) if not kind]
        if nameless:
            more = f" ({len(nameless)} such)" if len(nameless) > 1 else ""
            raise InputError(f"{called}, line {table.lines[nameless[0]]}: the edge has no type{more}; give it one.")
        if {each.casefold() for each in kinds} <= {"directed", "undirected"}:
            directed = _agreed(kinds, directed, called)
        else:
            given["edge_types"], given["edge_type_names"] = numbered_names(kinds, bonds=True)
    if (at := columns.get("weight")) is not None:
        given["edge_weights"] = table.numbers(at, what="the weight")
    header = table.header or ()
    left = [readable(each) or f"column {i + 1}" for i, each in enumerate(header) if i not in columns.values()]
    if left:
        notes.append(f"columns that say nothing about a graph are left out: {', '.join(left)}")
    starts, ends = table.column(columns["from"]), table.column(columns["to"])
    empty = [place for place, pair in enumerate(zip(starts, ends, strict=True)) if "" in pair]
    if empty:
        raise InputError(f"{called}, line {table.lines[empty[0]]}: an end of the edge is missing ({len(empty)} such).")
    both = [cell for pair in zip(starts, ends, strict=True) for cell in pair]
    if directed is None:
        directed = False
        notes.append("edges are read as undirected; directed=True, or --directed, keeps the directions of the rows")
    if nodes is not None:
        described = _described(nodes)
        ids = described.pop("ids")
        given |= described
        numbers = _looked_up(both, ids, table, called=called, beside=nodes.called)
    else:
        numbers, named = _numbered(both)
        given |= named
        if "node_names" in named and _whole(both) is not None:
            notes.append("the numbers of the nodes have gaps or do not begin with 0, so they are kept as names")
    with naming(called):
        notes += given.pop("notes", ())
        given.setdefault("num_nodes", int(numbers.max()) + 1)
        return Graph(edges=numbers.reshape(-1, 2), directed=directed, name=name, notes=tuple(notes), **given)


def read_nodes(text: str, *, called: str) -> Table:
    """The table of nodes beside an edge list; its first row is a header where it names what a node has.

    Args:
        text: The whole file.
        called: What an error calls it, quoted.

    Raises:
        InputError: It is damaged; names the line.
    """
    table = read_table(text, called=called)
    if table.header is None:
        # Words above words: only what the words are tells a header from a node.
        known = sum(cell.casefold() in {*_ID, *_NAME, *_LABEL} for cell in table.rows[0])
        if known >= min(2, table.width):
            return read_table(text, called=called, header=True)
    return table


def numbered_names(words: Sequence[str], *, bonds: bool = False) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Words as numbers of their names; names are sorted, numbers by size and words by letter.

    Args:
        words: The words.
        bonds: Whether words that all name chemical bonds get the numbers of `BondType`.
    """
    if bonds and {word.casefold() for word in words} <= set(BOND_TYPES):
        return np.array([BOND_TYPES.index(word.casefold()) for word in words], dtype=np.int64), BOND_TYPES
    distinct = set(words)
    as_numbers = whole(list(distinct))
    names = sorted(distinct) if as_numbers is None else sorted(distinct, key=int)
    place = {word: number for number, word in enumerate(names)}
    return np.array([place[word] for word in words], dtype=np.int64), tuple(readable(each) for each in names)


def _numbered(ends: Sequence[Hashable]) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
    """Ends as node numbers, and `node_names` unless the ends are such numbers already."""
    as_numbers = _whole(ends)
    if as_numbers is not None:
        used, numbers = np.unique(as_numbers, return_inverse=True)
        if used.size == 0 or (used[0] == 0 and used[-1] == len(used) - 1):
            return as_numbers, {}
        return numbers, {"node_names": tuple(str(each) for each in used)}
    unusable = [number for number, end in enumerate(ends) if not isinstance(end, Hashable) or end is None]
    if unusable:
        kind = type(ends[unusable[0]]).__name__
        raise InputError(
            f"an end of edge {unusable[0] // 2} is {with_article(kind)}, expected a number or a name "
            f"({len(unusable)} such)."
        )
    place: dict[Hashable, int] = {}
    numbers = np.array([place.setdefault(end, len(place)) for end in ends], dtype=np.int64)
    return numbers, {"node_names": tuple(readable(str(each)) for each in place)}


def _whole(ends: Sequence[Hashable]) -> npt.NDArray[np.int64] | None:
    if all(isinstance(end, str) for end in ends):
        # 007 and 1_000 are names: as numbers they would be other nodes, or the same as 7.
        numbers = whole(ends)  # type: ignore[arg-type]
        return numbers if numbers is not None and list(map(str, numbers.tolist())) == list(ends) else None
    if all(isinstance(end, int | np.integer) and not isinstance(end, bool) for end in ends):
        try:
            return np.array([int(end) for end in ends], dtype=np.int64)  # type: ignore[call-overload]
        except OverflowError:
            return None
    return None


def _with_header(table: Table) -> Table:
    first = [cell.casefold() for cell in table.rows[0]]
    if "smiles" in first:
        raise InputError(
            f"{table.called} holds molecules in its column {table.rows[0][first.index('smiles')]!r}, expected edges; "
            "read them one by one, pellucid.read('smiles:…')."
        )
    known = {*_FROM, *_TO}
    named = sum(cell in known for cell in first) >= 2
    # A first row of words above numbers is a header; above words it may be an edge, unless its words are known.
    rest_is_whole = len(table.rows) > 1 and all(whole(row[:2]) is not None for row in table.rows[1:200])
    if named or (rest_is_whole and len(first) > 1 and whole(table.rows[0][:2]) is None):
        if len(table.rows) == 1:
            raise InputError(f"{table.called} has a header and no rows; copy or download it again.")
        return Table(header=tuple(table.rows[0]), rows=table.rows[1:], lines=table.lines[1:], called=table.called)
    return table


def _columns(table: Table) -> dict[str, int]:
    if table.header is None:
        columns = {"from": 0, "to": 1}
        for at in range(2, min(table.width, 4)):
            try:
                np.array(table.column(at)[:200], dtype=np.float64)
                kind = "weight"
            except ValueError:
                kind = "type"
            columns.setdefault(kind, at)
        if table.width > len(columns):
            raise InputError(
                f"{table.called} has {table.width} columns and no header, expected two for the ends and at most one of "
                "numbers (weights) and one of words (types); name the columns in a first row."
            )
        return columns
    found = {
        "from": table.named(_FROM),
        "to": table.named(_TO),
        "weight": table.named(_WEIGHT),
        "type": table.named(_TYPE),
    }
    if found["from"] is None or found["to"] is None:
        found["from"], found["to"] = 0, 1
    return {kind: at for kind, at in found.items() if at is not None}


def _agreed(kinds: list[str], directed: bool | None, called: str) -> bool:
    words = {each.casefold() for each in kinds}
    if directed is None and len(words) > 1:
        raise InputError(
            f"{called} has directed and undirected edges; say which are meant with directed=True or False."
        )
    return words == {"directed"} if directed is None else directed


def _described(nodes: Table) -> dict[str, Any]:
    """The fields of a graph that a table of nodes holds, and "ids": the number of each id."""
    at = nodes.named(_ID)
    at = 0 if at is None else at
    ids = nodes.column(at)
    place = {each: number for number, each in enumerate(ids)}
    if len(place) != len(ids):
        seen: set[str] = set()
        twice = next(row for row, each in enumerate(ids) if each in seen or seen.add(each))  # type: ignore[func-returns-value]
        raise InputError(
            f"{nodes.called}, line {nodes.lines[twice]}: the node {readable(ids[twice])!r} is there before."
        )
    found: dict[str, Any] = {"ids": place, "num_nodes": len(ids)}
    named, labelled = nodes.named(_NAME), nodes.named(_LABEL)
    names = nodes.column(named) if named is not None else ids
    if names != [str(number) for number in range(len(ids))]:
        found["node_names"] = tuple(readable(each) for each in names)
    if labelled is not None:
        words = nodes.column(labelled)
        known = [word for word in words if word]
        if known:
            numbers, found["class_names"] = numbered_names(known)
            found["labels"] = np.full(len(words), -1, dtype=np.int64)
            found["labels"][[bool(word) for word in words]] = numbers
    rest = [column for column in range(nodes.width) if column not in (at, named, labelled)]
    features: list[npt.NDArray[np.float64]] = []
    feature_names: list[str] = []
    left: list[str] = []
    for column in rest:
        title = f"column {column + 1}" if nodes.header is None else readable(nodes.header[column])
        try:
            features.append(nodes.numbers(column, what=title))
            feature_names.append(title)
        except InputError as error:
            cells = nodes.column(column)
            if sum(_is_numeric(cell) for cell in cells) > len(cells) / 2:
                raise error from None  # a column of numbers with a damaged cell
            left.append(title)
    if features:
        found |= {"features": np.stack(features, axis=1), "feature_names": tuple(feature_names)}
    if left:
        found["notes"] = (f"columns of words in the table of nodes are left out: {', '.join(left)}",)
    return found


def _is_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _looked_up(
    ends: list[str], place: dict[str, int], table: Table, *, called: str, beside: str
) -> npt.NDArray[np.int64]:
    try:
        return np.array([place[end] for end in ends], dtype=np.int64)
    except KeyError:
        unknown = [row for row, end in enumerate(ends) if end not in place]
        end = readable(ends[unknown[0]])
        raise InputError(
            f"{called}, line {table.lines[unknown[0] // 2]}: the node {end!r} is not in {beside} "
            f"({len(unknown)} such ends)."
        ) from None
