"""What the support table claims holds: without a supported field something else becomes of some traffic.

Each specimen (a file of `specimens/`, or a DestinationRule of `policies.py`) is an object that sets fields, in a mesh
(`base.yaml`), with questions. For every field that it sets, the mesh is compiled once more without that one field, past
the validation; what the registry and routing then answer must differ if the table says that the field is supported, and
must not if it says the opposite. Every supported field is set by some specimen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from msgspec.structs import replace
from tests.asking import Asked, asked, decide
from tests.conformance.support import policies

from nodemesh.config.kinds import ISTIO_KINDS
from nodemesh.config.load import load_text
from nodemesh.config.meta import Object
from nodemesh.config.schema import walk
from nodemesh.config.support import NOTES, rows
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.observation import observation_of
from nodemesh.routing.views import Views

HERE = Path(__file__).parent

#: Texts that callables of decisions (origin matchers, substitutions) are tried on.
SAMPLES = (b"http://a.example", b"http://b.example", b"http://c.example", b"/regex-rewrite/7")


class Specimen(NamedTuple):
    """The object whose fields are taken away, all others, and what is asked."""

    name: str
    item: Object[Any]
    others: tuple[Object[Any], ...]
    questions: tuple[Asked, ...]


def loaded(text: str, name: str) -> list[Object[Any]]:
    found = load_text(text.encode(), name)
    assert not [problem for problem in found.problems if problem.refused], found.problems
    return list(found.objects)


@cache
def base() -> tuple[Object[Any], ...]:
    return tuple(loaded((HERE / "base.yaml").read_text(), "base.yaml"))


def specimen_of(name: str, questions: str, text: str) -> Specimen:
    objects = loaded(text, name)
    (item,) = [entry for entry in objects if entry.meta.name == "specimen"]
    others = (*base(), *(entry for entry in objects if entry is not item))
    lines = (line.removeprefix("- ") for line in questions.splitlines() if line.startswith("- "))
    return Specimen(name, item, others, tuple(asked(line) for line in lines))


def specimens() -> Iterator[Specimen]:
    for path in sorted((HERE / "specimens").glob("*.yaml")):
        questions, _, text = path.read_text().partition("---\n")
        yield specimen_of(path.stem, questions, text)
    for index, rule in enumerate(policies.specimens()):
        yield specimen_of(f"policy-{index}", policies.ASKED, yaml.safe_dump(rule) + policies.ROUTES)


# === what becomes of traffic


def observed(specimen: Specimen, item: Object[Any]) -> Any:
    """Every decision asked for, what each client dials, and the servers of gateways, as plain data."""
    views = Views(compile_tables(Store().apply("test", (*specimen.others, item))))
    found: list[Any] = [views.tables.snapshot.services] if views.tables.snapshot is not None else []
    for question in specimen.questions:
        client = question.client_in(views)
        view = views.for_client(client)
        found.append(decide(views, question))
        found.append(observation_of(views.tables, client.namespace, client.labels))
        found.append(view.servers() if question.gateway is not None else sorted_frontends(view))
    return msgspec.to_builtins(found, enc_hook=tried)


def sorted_frontends(view: Any) -> list[Any]:
    return sorted(
        ((front.addresses, front.port, front.protocol, front.mode, front.tcp) for front in view.frontends()), key=str
    )


def tried(value: Any) -> Any:
    if callable(value):
        return [value(sample) for sample in SAMPLES]
    return str(value)


# === fields taken away


def fields_set(value: Any, path: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every field that is set below a struct: its path in the table, and the struct without it."""
    for field in msgspec.structs.fields(value):
        held = getattr(value, field.name)
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        if held == default:
            continue
        here = f"{path}.{field.encode_name}"
        yield here, lambda name=field.name, default=default: replace(value, **{name: default})  # type: ignore[misc]
        for inner, rebuilt in inner_fields(held, here):
            yield inner, lambda name=field.name, rebuilt=rebuilt: replace(value, **{name: rebuilt()})  # type: ignore[misc]


def inner_fields(held: Any, path: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    if isinstance(held, msgspec.Struct):
        yield from fields_set(held, path)
    elif isinstance(held, tuple):
        for index, entry in enumerate(held):
            if isinstance(entry, msgspec.Struct):
                for inner, rebuilt in fields_set(entry, f"{path}[]"):
                    yield inner, lambda index=index, rebuilt=rebuilt: (*held[:index], rebuilt(), *held[index + 1 :])  # type: ignore[misc]
    elif isinstance(held, dict):
        for key, entry in held.items():
            if isinstance(entry, msgspec.Struct):
                for inner, rebuilt in fields_set(entry, f"{path}{{}}"):
                    yield inner, lambda key=key, rebuilt=rebuilt: {**held, key: rebuilt()}  # type: ignore[misc]


class Effect(NamedTuple):
    """Where a field was taken away, and whether that changed anything."""

    specimen: str
    changed: bool


@cache
def effects() -> dict[tuple[str, str], list[Effect]]:
    """By kind and path."""
    found: dict[tuple[str, str], list[Effect]] = defaultdict(list)
    for specimen in specimens():
        whole = observed(specimen, specimen.item)
        for path, without in fields_set(specimen.item.spec, "spec"):
            changed = observed(specimen, replace(specimen.item, spec=without())) != whole
            found[specimen.item.kind, path].append(Effect(specimen.name, changed))
    return found


@cache
def names() -> set[tuple[str, str]]:
    """Fields that only name a part of an object: there is nothing to show of them."""
    found = {owner for owner, note in NOTES.items() if note == "a name for people"}
    return {(kind.name, path) for kind in ISTIO_KINDS for path, *owner, _ in walk(kind.spec) if tuple(owner) in found}


FIELDS = [
    row for row in rows() if "=" not in row.path and not row.path.startswith("status") and row.kind != "ProxyConfig"
]
#: The reason of fields that change a decision, but not yet what is done (`test_carried_out.py` has them).
NOT_CARRIED_OUT = "requests go upstream as HTTP/1.1"

KINDS = [kind.name for kind in ISTIO_KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_every_supported_field_has_an_effect(kind):
    supported = [row.path for row in FIELDS if row.kind == kind and row.supported]
    unset = [path for path in supported if (kind, path) not in effects()]
    idle = [path for path in supported if path not in unset and not any(e.changed for e in effects()[kind, path])]
    idle = [path for path in idle if (kind, path) not in names()]
    assert not unset, "no specimen sets these fields"
    assert not idle, "these fields are called supported, but make no difference"


@pytest.mark.parametrize("kind", KINDS)
def test_no_unsupported_field_has_an_effect(kind):
    unsupported = {row.path for row in FIELDS if row.kind == kind and not row.supported and row.note != NOT_CARRIED_OUT}
    busy = {
        path: [effect.specimen for effect in found if effect.changed]
        for (owner, path), found in effects().items()
        if owner == kind and path in unsupported and any(effect.changed for effect in found)
    }
    assert not busy, "these fields are called unsupported, but make a difference"
