"""Shapes whose parts are known: tables, mugs, lamps and animals, put together of solids and cut into triangles.

The solids of a shape are joined by their signed distances, so that its surface is one closed mesh without seams between
the parts. Each vertex belongs to the part whose solid is nearest. A shape is turned at random before it is cut into
triangles, so that the grid's directions tell nothing, and its vertices are moved a little.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pellucid.errors import SettingError, did_you_mean
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_geometry import FEATURES, at_vertices, vertex_edges
from pellucid.models.recipes.solids import Distance, Floats, Solid, box, capsule, cone, ellipsoid, torus
from pellucid.models.recipes.surface_nets import surface_net

PARTS: Final = ("top", "leg", "body", "handle", "base", "pole", "shade", "head", "tail")
"""The names of all parts; tables and animals share "leg", mugs and animals "body"."""
_REACH: Final = 1.45
_CELLS: Final = (36, 46)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a shape is made of.

    Attributes:
        solids: Its pieces; they overlap where they meet.
        hollow: What is taken away from all of them, or None.
    """

    solids: tuple[Solid, ...]
    hollow: Distance | None = field(default=None)


def shape(kind: str, seed: int) -> Graph:
    """One shape as a graph of the vertices of its surface, with the part of each vertex as its label.

    Args:
        kind: One of `KINDS`.
        seed: Of its measures, its pose and the noise.

    Raises:
        SettingError: There is no such kind.
    """
    if kind not in KINDS:
        raise SettingError("kind", given=kind, expected=" or ".join(map(repr, KINDS)) + did_you_mean(kind, [*KINDS]))
    chance = np.random.default_rng([list(KINDS).index(kind), seed])
    plan, turn = KINDS[kind](chance), _rotation(chance)
    cells = int(chance.integers(*_CELLS))
    line = np.linspace(-_REACH, _REACH, cells)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    places, triangles = surface_net(_whole(plan, grid @ turn.T).reshape(cells, cells, cells))
    spacing = line[1] - line[0]
    points = places * spacing - _REACH
    nearest = np.argmin([solid.distance(points @ turn.T) for solid in plan.solids], axis=0)
    parts = np.array([PARTS.index(solid.part) for solid in plan.solids])
    points = points + chance.normal(scale=0.06 * spacing, size=points.shape)
    return Graph(
        edges=vertex_edges(triangles),
        num_nodes=len(points),
        features=at_vertices(points, triangles).table(),
        feature_names=FEATURES,
        positions=points,
        labels=parts[nearest],
        class_names=PARTS,
        body=Mesh(vertices=points, faces=triangles),
        name=f"{kind} {seed}",
    )


def _whole(plan: Plan, points: Floats) -> Floats:
    distance: Floats = np.minimum.reduce([solid.distance(points) for solid in plan.solids])
    return distance if plan.hollow is None else np.maximum(distance, -plan.hollow(points))


def _rotation(chance: np.random.Generator) -> Floats:
    """A rotation, all equally likely: the axes of random vectors, made right-handed."""
    turn, upper = np.linalg.qr(chance.normal(size=(3, 3)))
    turn = turn * np.sign(np.diag(upper))
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    return np.asarray(turn)


def _table(chance: np.random.Generator) -> Plan:
    wide, deep, tall = chance.uniform(0.6, 0.95), chance.uniform(0.5, 0.8), chance.uniform(0.4, 0.75)
    thick, radius, inset = chance.uniform(0.07, 0.12), chance.uniform(0.08, 0.12), chance.uniform(0.12, 0.25)
    if chance.random() < 0.3:
        top = cone(tall - thick, tall + thick, deep, deep)
        wide = deep * 0.8
    else:
        top = box((0, 0, tall), (wide, deep, thick))
    legs = [
        Solid(part="leg", distance=capsule((x, y, tall), (x * spread, y * spread, -tall), radius))
        for spread in [chance.uniform(0.95, 1.15)]
        for x in (inset - wide, wide - inset)
        for y in (inset - 0.8 * deep, 0.8 * deep - inset)
    ]
    return Plan(solids=(Solid(part="top", distance=top), *legs))


def _mug(chance: np.random.Generator) -> Plan:
    tall, radius = chance.uniform(0.5, 0.8), chance.uniform(0.4, 0.6)
    foot = radius * chance.uniform(0.75, 1.0)
    wall = chance.uniform(0.14, 0.18)
    ring = chance.uniform(0.24, 0.34)
    handle = torus((radius + 0.45 * ring, 0, chance.uniform(-0.1, 0.1)), ring, chance.uniform(0.08, 0.11))
    return Plan(
        solids=(
            Solid(part="body", distance=cone(-tall, tall, foot, radius)),
            Solid(part="handle", distance=handle),
        ),
        hollow=cone(-tall + 1.2 * wall, tall + 1, foot - wall, radius - wall),
    )


def _lamp(chance: np.random.Generator) -> Plan:
    foot, flat = chance.uniform(0.35, 0.55), chance.uniform(0.08, 0.14)
    tall, wide = chance.uniform(0.5, 0.75), chance.uniform(0.45, 0.65)
    high = chance.uniform(0.4, 0.6)
    return Plan(
        solids=(
            Solid(part="base", distance=cone(-1, flat * 2 - 1, foot, foot * chance.uniform(0.6, 1))),
            Solid(part="pole", distance=capsule((0, 0, -0.9), (0, 0, tall - high / 2), chance.uniform(0.08, 0.11))),
            Solid(part="shade", distance=cone(tall - high, tall + high / 2, wide, wide * chance.uniform(0.35, 0.75))),
        )
    )


def _animal(chance: np.random.Generator) -> Plan:
    long, round_ = chance.uniform(0.55, 0.75), chance.uniform(0.25, 0.36)
    low, radius = chance.uniform(0.5, 0.75), chance.uniform(0.09, 0.13)
    neck, size = chance.uniform(0.25, 0.5), chance.uniform(0.18, 0.26)
    front = long * 0.6
    legs = [
        Solid(part="leg", distance=capsule((x, y, 0), (x * 1.1, y * 1.1, -low), radius))
        for x in (-front, front)
        for y in (-0.6 * round_, 0.6 * round_)
    ]
    top = (long + 0.2, 0, neck)
    ear = size * 0.6
    return Plan(
        solids=(
            Solid(part="body", distance=ellipsoid((0, 0, 0), (long, round_, round_))),
            Solid(part="head", distance=capsule((long * 0.75, 0, 0.1), top, radius * 1.2)),
            Solid(part="head", distance=ellipsoid((long + 0.3, 0, neck), (size * 1.3, size, size))),
            Solid(part="head", distance=capsule(top, (long + 0.2, ear, neck + size + 0.1), 0.08)),
            Solid(part="head", distance=capsule(top, (long + 0.2, -ear, neck + size + 0.1), 0.08)),
            Solid(
                part="tail",
                distance=capsule((-long * 0.85, 0, 0.05), (-long - 0.3, 0, chance.uniform(-0.3, 0.4)), 0.085),
            ),
            *legs,
        )
    )


KINDS: Final[Mapping[str, Callable[[np.random.Generator], Plan]]] = {
    "table": _table,
    "mug": _mug,
    "lamp": _lamp,
    "animal": _animal,
}
"""The kinds of shapes, each with what draws one from random numbers."""
