"""Zachary's karate club, which networkx brings along: who met whom before the club fell apart."""

import numpy as np

from pellucid.inputs.graph import Graph

CLASS_NAMES = ("Mr. Hi", "Officer")
"""The two clubs that came of one: that of the instructor and that of the administrator."""
_LEADERS = (0, 33)


def karate_club() -> Graph:
    """The 34 members of the club and their 78 friendships, without weights.

    The label of a member is the club that it joined afterwards. The split "train" holds the two leaders alone, member 1
    (Mr. Hi) and member 34 (the officer); all others are "test". Members have no features: the identity stands for them.

    Reference:
        Zachary, An Information Flow Model for Conflict and Fission in Small Groups, Journal of Anthropological
        Research 33, 1977.
    """
    import networkx

    club = networkx.karate_club_graph()
    train = np.zeros(club.number_of_nodes(), dtype=np.bool_)
    train[list(_LEADERS)] = True
    return Graph(
        edges=np.array(club.edges),
        num_nodes=club.number_of_nodes(),
        labels=np.array([CLASS_NAMES.index(name) for _, name in sorted(club.nodes(data="club"))]),
        class_names=CLASS_NAMES,
        node_names=tuple(f"member {number + 1}" for number in range(club.number_of_nodes())),
        splits={"train": train, "test": ~train},
        name="karate club",
    )
