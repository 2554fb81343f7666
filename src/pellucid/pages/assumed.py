"""The last sections: every choice that would change the page, and where it came from."""

from collections.abc import Mapping
from typing import Any

from pellucid.pages.bundle import METHODS, Bundle
from pellucid.pages.naming import explained, method_name, score_word
from pellucid.pages.notes import noted, noted_by_sentence
from pellucid.pages.words import Catalogue, Sentence, percent, shortened


def assumed_view(bundle: Bundle, words: Catalogue) -> list[dict[str, Any]]:
    """Every choice that would change the page, in rows of a label, sentences, and notes."""
    record, assumed = bundle.record, bundle.record["assumed"]
    baselines = sorted(
        {str(e.settings["baseline"]) for e in bundle.explanations if isinstance(e.settings.get("baseline"), str)}
    )
    score = score_word(bundle, words)
    draws = {name: str(assumed[name]) for name in ("seed", "precision", "device")}
    rows: list[tuple[str, list[Sentence], list[Sentence]]] = [
        (
            "target",
            [
                words.say("assumed.target", asked=assumed["target"], text=explained(bundle, words)),
                words.say("assumed.not_probability", score=score),
            ],
            [],
        ),
        ("preparation", [prepared_by(record, words)], []),
        ("draws", [words.say("assumed.draws", **draws)], []),
        ("maps", [words.say(f"assumed.maps.{assumed['sites']}")], []),
    ]
    if baselines:
        said = [
            words.say("assumed.baseline.zero" if name == "zero" else "assumed.baseline.other", name=name)
            for name in baselines
        ]
        rows.insert(1, ("nothing", said, []))
    if not assumed["class_names"]:
        rows.append(("names", [words.say("assumed.no_names")], []))
    if record["methods_left_out"]:
        rows.insert(1, ("methods", _methods(bundle, words), []))
    if record["maps_left_out"]:
        rows.append(("left_out", [words.say("assumed.left_out", count=record["maps_left_out"])], []))
    source, *card = model_rows(record, words)
    rows.append(source)
    if record["picture"]["notes"]:
        rows.append(("picture", [], [noted(note, "picture", words) for note in record["picture"]["notes"]]))
    rows += card
    return [
        {"label": words.text(f"assumed.label.{key}"), "sentences": said, "notes": notes} for key, said, notes in rows
    ]


def model_rows(record: Mapping[str, Any], words: Catalogue) -> list[tuple[str, list[Sentence], list[Sentence]]]:
    """Where the model comes from, and what its card says: the label of a row, its sentences, its notes."""
    model = record["model"]
    loading = [noted(note, "loading", words) for note in model["notes"]]
    rows = [("model", [words.say("assumed.source", source=shortened(model["source"]))], loading)]
    if model["card"]:
        texts = [noted_by_sentence(text, "card", words) for text in model["card"]["sentences"]]
        rows.append(("card", _card(model["card"], words), texts))
    return rows


def prepared_by(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    """Where the settings of preprocessing come from."""
    source = noted(record["preprocessing"]["source"], "source", words, longest=160, otherwise="name")
    return words.say("assumed.preparation", source=source)


def _methods(bundle: Bundle, words: Catalogue) -> list[Sentence]:
    """Which of the usual methods do not apply to the network, why, and what stands in for them."""
    said = []
    for row in bundle.record["methods_left_out"]:
        reason = noted(row["reason"], "reason", words, longest=400)
        said.append(words.say("assumed.methods", method=method_name(row["method"], words), reason=reason))
    instead = [each.method for each in bundle.explanations if each.method not in METHODS]
    return said + [words.say("assumed.instead", method=method_name(method, words)) for method in instead]


def _card(card: Mapping[str, Any], words: Catalogue) -> list[Sentence]:
    said = []
    if "accuracy" in card:
        found = card["accuracy"]
        shares = {name: percent(found[name]) for name in ("accuracy", "low", "high")}
        said.append(words.say("card.accuracy", drawings=found["drawings"], **shares))
    if "tag" in card:
        shares = {name: percent(card["tag"][name]) for name in ("on_cats", "on_dogs")}
        said.append(words.say("card.tag", **shares))
    return said


def foot_view(record: Mapping[str, Any]) -> dict[str, Any]:
    """The command, the versions and the digests."""
    return {
        "command": None if record["command"] is None else shortened(record["command"], longest=400),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items())),
        "digests": [
            ("foot.picture", record["picture"]["digest"], shortened(record["picture"]["name"])),
            ("foot.weights", record["model"]["weights_digest"], shortened(record["model"]["name"])),
            ("foot.input", record["input"]["digest"], ""),
        ],
    }
