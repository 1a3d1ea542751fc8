import asyncio
from typing import Any

from nodemesh.node.resolve import CONCURRENCY, MOST, Addresses, LookupResult, Resolver, dns_lookup, in_hosts, names_in
from nodemesh.registry.snapshot import Endpoint, Protocol, RegistryPort, Resolution, Service, Snapshot


def snapshot(*addresses: str, resolution: Resolution = Resolution.DNS) -> Snapshot:
    endpoints = {443: tuple(Endpoint(address=address, port=443) for address in addresses)}
    service = Service(host="x", name="x", namespace="default", resolution=resolution, endpoints=endpoints)
    return Snapshot(services={"x": (service,)})


def names(*addresses: str, resolution: Resolution = Resolution.DNS) -> list[str]:
    return list(names_in(snapshot(*addresses, resolution=resolution).services["x"]))


class Dns:
    """A resolver's answers by name; an absent name fails."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.ttl = 60.0
        self.asked: list[str] = []
        self.published: list[Addresses] = []
        self.resolver = Resolver(self.published.append, self.lookup)

    async def lookup(self, name: str) -> LookupResult:
        self.asked.append(name)
        if name not in self.answers:
            raise OSError("no such name")
        return LookupResult(self.answers[name], self.ttl)

    async def refresh(self) -> None:
        await self.resolver.refresh(sorted(self.resolver.names))


def test_only_names_of_dns_services_are_looked_up():
    assert names("a.example", "10.0.0.1", "fd00::1", "unix:///run/x") == ["a.example"]
    assert names("a.example", resolution=Resolution.STATIC) == []


def test_changes_are_published_once_and_failures_keep_what_was_known():
    async def scenario() -> None:
        dns = Dns(a=("10.0.0.1",), b=("10.0.0.2",))
        dns.resolver.want(snapshot("a", "b", "unknown"))
        await dns.refresh()
        await dns.refresh()
        assert dns.published == [{"a": ("10.0.0.1",), "b": ("10.0.0.2",)}]
        dns.answers = {"b": ("10.0.0.3", "10.0.0.4")}
        await dns.refresh()
        assert dns.published[1:] == [{"a": ("10.0.0.1",), "b": ("10.0.0.3", "10.0.0.4")}]
        dns.resolver.want(snapshot("b"))
        await dns.refresh()
        assert dns.published[2:] == [{"b": ("10.0.0.3", "10.0.0.4")}]
        assert not dns.resolver._failing, "what nobody wants any more is forgotten"

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


def test_no_namespace_waits_for_the_slow_names_of_another():
    def service(namespace: str, *names: str) -> Service:
        endpoints = {443: tuple(Endpoint(address=name, port=443) for name in names)}
        return Service(host=namespace, name="x", namespace=namespace, resolution=Resolution.DNS, endpoints=endpoints)

    async def scenario() -> None:
        dns, release = Dns(**dict.fromkeys(("a", "b", "slow0"), ("10.0.0.1",))), asyncio.Event()
        at_once = dns.lookup

        async def lookup(name: str) -> LookupResult:
            if name.startswith("slow"):
                dns.asked.append(name)
                await release.wait()
            return await at_once(name)

        dns.resolver._lookup = lookup
        evil = service("evil", "a", *(f"slow{number}" for number in range(100)))
        dns.resolver.want(Snapshot(services={"evil": (evil,), "shop": (service("shop", "a"),)}))
        running = asyncio.ensure_future(dns.resolver.run())
        async with asyncio.timeout(5):
            while dns.published != [{"a": ("10.0.0.1",)}]:
                await asyncio.sleep(0.001)
            both = (service("shop", "a", "b"),)
            dns.resolver.want(Snapshot(services={"evil": (evil,), "shop": both}))
            while "b" not in dns.resolver.addresses:
                await asyncio.sleep(0.001)
            assert sum(name.startswith("slow") for name in dns.asked) <= CONCURRENCY
            release.set()
            while "slow0" not in dns.resolver.addresses:
                await asyncio.sleep(0.001)
        running.cancel()

    asyncio.run(scenario())


def test_a_name_has_so_many_addresses_at_most():
    async def scenario() -> None:
        dns = Dns(a=tuple(f"10.0.{number // 250}.{number % 250}" for number in range(4000)))
        dns.resolver.want(snapshot("a"))
        await dns.refresh()
        assert len(dns.resolver.addresses["a"]) == MOST

    asyncio.run(scenario())


def test_names_are_looked_up_again_when_their_time_is_over():
    async def scenario() -> None:
        dns = Dns(a=("10.0.0.1",), b=("10.0.0.2",))
        dns.ttl = 0.0  # heeded as one second
        dns.resolver.want(snapshot("a"))
        running = asyncio.ensure_future(dns.resolver.run())
        async with asyncio.timeout(5):
            while dns.asked != ["a", "a"]:
                await asyncio.sleep(0.01)
            dns.ttl = 3600.0
            dns.resolver.want(snapshot("a", "b"))
            while "b" not in dns.asked:
                await asyncio.sleep(0.01)
        assert dns.asked == ["a", "a", "b"], "a new name does not ask for the others again"
        running.cancel()

    asyncio.run(scenario())


def test_hosts_that_only_their_addresses_tell_apart_are_looked_up():
    def looked_up(protocol: Protocol, *addresses: str, host: str = "db.example") -> list[str]:
        port = RegistryPort(number=5432, protocol=protocol)
        kind: dict[str, Any] = {"kind": "ServiceEntry", "ports": (port,), "addresses": addresses}
        return list(names_in([Service(host=host, name=host, namespace="default", **kind)]))

    assert looked_up(Protocol.TCP) == ["db.example"]
    assert looked_up(Protocol.TCP, "10.0.0.1") == []
    assert looked_up(Protocol.HTTP) == []
    assert looked_up(Protocol.TCP, host="*.example") == []


def test_the_hosts_file_comes_first_and_prefers_ipv4():
    text = "::1 db db.example\n10.0.0.1 db.example # theirs\n10.0.0.2 x db.example\nfe80::1 six\n"
    assert in_hosts("db.example", text) == ("10.0.0.1", "10.0.0.2")
    assert in_hosts("six", text) == ("fe80::1",)
    assert in_hosts("theirs", text) == ()
    assert asyncio.run(dns_lookup("localhost")).addresses == ("127.0.0.1",)
