import asyncio

from nodemesh.node.resolve import Addresses, Resolver, names_in, system_lookup
from nodemesh.registry.snapshot import Endpoint, Resolution, Service, Snapshot


def snapshot(*addresses: str, resolution: Resolution = Resolution.DNS) -> Snapshot:
    endpoints = {443: tuple(Endpoint(address=address, port=443) for address in addresses)}
    service = Service(host="x", name="x", namespace="default", resolution=resolution, endpoints=endpoints)
    return Snapshot(services={"x": (service,)})


class Dns:
    """A resolver's answers by name; an absent name fails."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.published: list[Addresses] = []
        self.resolver = Resolver(self.published.append, self.lookup)

    async def lookup(self, name: str) -> tuple[str, ...]:
        if name not in self.answers:
            raise OSError("no such name")
        return self.answers[name]


def test_only_names_of_dns_services_are_looked_up():
    assert list(names_in(snapshot("a.example", "10.0.0.1", "fd00::1", "unix:///run/x"))) == ["a.example"]
    assert list(names_in(snapshot("a.example", resolution=Resolution.STATIC))) == []


def test_changes_are_published_once_and_failures_keep_what_was_known():
    async def scenario() -> None:
        dns = Dns(a=("10.0.0.1",), b=("10.0.0.2",))
        dns.resolver.want(snapshot("a", "b", "unknown"))
        await dns.resolver.refresh()
        await dns.resolver.refresh()
        assert dns.published == [{"a": ("10.0.0.1",), "b": ("10.0.0.2",)}]
        dns.answers = {"b": ("10.0.0.3", "10.0.0.4")}
        await dns.resolver.refresh()
        assert dns.published[1:] == [{"a": ("10.0.0.1",), "b": ("10.0.0.3", "10.0.0.4")}]
        dns.resolver.want(snapshot("b"))
        await dns.resolver.refresh()
        assert dns.published[2:] == [{"b": ("10.0.0.3", "10.0.0.4")}]

    asyncio.run(scenario())


def test_a_new_name_does_not_wait_for_the_next_round():
    async def scenario() -> None:
        dns = Dns(a=("10.0.0.1",))
        running = asyncio.ensure_future(dns.resolver.run())
        await asyncio.sleep(0)
        dns.resolver.want(snapshot("a"))
        async with asyncio.timeout(2):
            while not dns.published:
                await asyncio.sleep(0.001)
        running.cancel()

    asyncio.run(scenario())


def test_the_machines_resolver_prefers_ipv4():
    assert asyncio.run(system_lookup("localhost")) == ("127.0.0.1",)
