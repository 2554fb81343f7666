"""Cuts: the sites through which everything passes on the way from the picture to an answer."""

from pellucid.capture.asks import Facts
from pellucid.capture.sites import INPUT, Site


def on_the_way(facts: Facts, end: str | None = None) -> list[Site]:
    """The sites on which an end depends, itself among them, in the order of execution.

    Args:
        facts: What is known about the model.
        end: The name of a site; the class layer unless given.
    """
    by_name = {site.name: site for site in facts.sites}
    names = [end or facts.class_site or facts.sites[-1].name]
    found: set[str] = set()
    while names:
        name = names.pop()
        if name in by_name and name not in found:
            found.add(name)
            names.extend(by_name[name].inputs)
    return [site for site in facts.sites if site.name in found]


def cuts(facts: Facts, end: str | None = None) -> list[Site]:
    """The sites that every path from the picture to an end passes.

    What is measured at such a site is measured on all that the network still knows; beside a site inside a branch,
    another branch may carry the rest past it.
    """
    relevant = on_the_way(facts, end)
    order = {site.name: number for number, site in enumerate(relevant)} | {INPUT: -1}
    furthest = dict(order)
    for site in relevant:
        for parent in site.inputs:
            if parent in order:
                furthest[parent] = max(furthest[parent], order[site.name])
    found, reach = [], furthest[INPUT]
    for site in relevant:
        if reach <= order[site.name]:
            found.append(site)
        reach = max(reach, furthest[site.name])
    return found
