"""What an annotation says that an object is to become: the candidate that a shadow tries beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from .kinds import KINDS
from .load import LoadResult, load_object
from .meta import Object
from .problems import Problem
from .yaml import Flaw, read

#: The new spec, as YAML or JSON; NONE: the object is to go.
CANDIDATE = "nodemesh.io/candidate"
NONE = "none"

#: Where it stands in the object.
PATH = ("metadata", "annotations", CANDIDATE)


def has_candidate(item: Object[Any]) -> bool:
    return CANDIDATE in item.meta.annotations


def candidate_of(item: Object[Any]) -> LoadResult:
    """What the object is to become; no object where it is to go, or where the annotation has errors."""
    text = item.meta.annotations.get(CANDIDATE, "")
    if text.strip() == NONE:
        return LoadResult((), ())
    place = item.locate(*PATH)
    documents = list(read(text, str(place)))
    flaw = next((each for each in documents if isinstance(each, Flaw)), None)
    if flaw is not None or len(documents) != 1:
        message = flaw.message if isinstance(flaw, Flaw) else "the new spec is expected here, or the word none"
        return LoadResult((), (_problem(item, message),))
    document = documents[0]
    assert not isinstance(document, Flaw)
    if not isinstance(document.root.value, dict):
        return LoadResult((), (_problem(item, "the new spec is expected here, a mapping, or the word none"),))
    kind = KINDS[item.group, item.kind]
    loaded = load_object(
        {
            "apiVersion": f"{kind.group}/{kind.versions[0]}",
            "kind": kind.name,
            "metadata": {"name": item.meta.name, **({"namespace": item.meta.namespace} if kind.namespaced else {})},
            "spec": document.root.value,
        },
        f"{place} {CANDIDATE}",
    )
    return LoadResult(
        tuple(msgspec.structs.replace(each, meta=item.meta, origin=item.origin) for each in loaded.objects),
        tuple(_problem(item, problem.message, problem.path) for problem in loaded.problems if problem.refused),
    )


def _problem(item: Object[Any], message: str, path: str = "") -> Problem:
    return Problem(
        code="bad-candidate",
        message=f"{path}: {message}" if path else message,
        location=item.locate(*PATH),
        kind=item.kind,
        group=item.group,
        namespace=item.meta.namespace,
        name=item.meta.name,
    )
