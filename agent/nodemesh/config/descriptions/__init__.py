"""What each field of the CRDs means, as `kubectl explain` shows it. The texts stand by kind: a line for a struct, and
below it one for each of its fields, by the names that YAML has."""

from __future__ import annotations

from . import destinationrule, others, telemetry, virtualservice


def read(text: str) -> dict[tuple[str, str], str]:
    """Sentences by struct and field."""
    found: dict[tuple[str, str], str] = {}
    struct = ""
    for line in filter(None, text.splitlines()):
        if not line.startswith(" "):
            struct = line
            continue
        field, _, sentence = line.strip().partition(": ")
        found[struct, field] = sentence
    return found


DESCRIPTIONS = {
    place: sentence
    for module in (virtualservice, destinationrule, others, telemetry)
    for place, sentence in read(module.TEXT).items()
}
