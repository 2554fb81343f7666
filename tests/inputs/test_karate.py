"""The karate club, beside networkx."""

import networkx
import numpy as np

from pellucid.inputs.karate import CLASS_NAMES, karate_club


def test_the_club_has_the_members_friendships_and_sides_of_networkx() -> None:
    club, peer = karate_club(), networkx.karate_club_graph()
    assert {frozenset(edge) for edge in club.edges.tolist()} == {frozenset(edge) for edge in peer.edges}
    assert (club.num_nodes, club.num_edges) == (34, 78)
    assert [CLASS_NAMES[label] for label in club.labels] == [peer.nodes[node]["club"] for node in range(34)]
    assert club.class_names == ("Mr. Hi", "Officer")
    assert (club.node_name(0), club.node_name(33)) == ("member 1", "member 34")


def test_only_the_two_leaders_are_for_training_one_of_each_side() -> None:
    club = karate_club()
    assert np.flatnonzero(club.splits["train"]).tolist() == [0, 33]
    assert club.labels[club.splits["train"]].tolist() == [0, 1]
    assert (club.splits["test"] == ~club.splits["train"]).all()


def test_the_members_are_described_by_being_themselves() -> None:
    club = karate_club()
    assert club.featureless
    assert club.edge_weights is None
