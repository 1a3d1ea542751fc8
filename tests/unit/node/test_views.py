from nodemesh.node.views import BASE, ViewNumbers
from nodemesh.registry.snapshot import Snapshot
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views


def views(before: Views | None = None) -> Views:
    version = before.version + 1 if before is not None else 1
    return Views(compile_tables(Snapshot(version=version)), before)


def client(namespace: str) -> Client:
    return Client(namespace=namespace, name="pod")


def test_clients_that_nothing_tells_apart_share_a_number():
    numbers = ViewNumbers()
    numbers.assign(views(), {"a/1": client("a"), "a/2": client("a"), "b/1": client("b"), "d/1": client("default")})
    assert numbers.number("a/1") == numbers.number("a/2") != numbers.number("b/1")
    assert numbers.number("d/1") == BASE
    assert [number for number, _ in numbers.numbered()] == [0, 1, 2]


def test_a_number_stays_with_its_pods_over_versions_and_is_not_given_to_others_meanwhile():
    numbers = ViewNumbers()
    first = views()
    numbers.assign(first, {"a/1": client("a"), "b/1": client("b")})
    a, b = numbers.number("a/1"), numbers.number("b/1")
    second = views(first)
    numbers.assign(second, {"c/1": client("c"), "b/1": client("b"), "a/1": client("a")})
    assert (numbers.number("a/1"), numbers.number("b/1")) == (a, b)
    assert numbers.number("c/1") not in (a, b)


def test_a_vacated_number_keeps_serving_until_its_pods_have_moved():
    numbers = ViewNumbers()
    first = views()
    numbers.assign(first, {"a/1": client("a"), "b/1": client("b")})
    old = numbers.number("b/1")
    second = views(first)
    numbers.assign(second, {"a/1": client("a"), "b/1": client("a")})  # b/1 now sees what a/1 sees
    assert numbers.number("b/1") == numbers.number("a/1")
    assert dict(numbers.numbered())[old] is dict(numbers.numbered())[numbers.number("a/1")]
    third = views(second)
    numbers.assign(third, {"a/1": client("a"), "b/1": client("a")})
    assert old not in dict(numbers.numbered())
