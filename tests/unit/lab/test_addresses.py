"""Addresses are handed out once, from networks that do not overlap."""

from ipaddress import ip_address

from nodemesh.lab.addresses import POD_NETWORKS, SERVICE_NETWORKS, AddressPool, IpFamily


def test_each_pod_and_service_gets_one_address_per_family_of_its_network():
    addresses = AddressPool((IpFamily.IPV4, IpFamily.IPV6))
    pods = [addresses.take_pod() for _ in range(300)]
    services = [addresses.take_service() for _ in range(300)]
    for taken, networks in ((pods, POD_NETWORKS), (services, SERVICE_NETWORKS)):
        for family, of_family in zip(IpFamily, zip(*taken, strict=True), strict=True):
            assert len(set(of_family)) == 300
            assert all(ip_address(one) in networks[family] for one in of_family)
    assert addresses.gateway(IpFamily.IPV4) not in {one for pod in pods for one in pod}


def test_one_family_gives_one_address():
    assert AddressPool((IpFamily.IPV4,)).take_pod() == ("10.244.0.2",)
