"""DestinationRules as specimens: every block of a traffic policy, at each of the four places where one can stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ASKED = """\
- GET http://reviews:9080/ --as default/web
- GET http://reviews:9080/v1 --as default/web
- GET http://reviews:9080/ --as default
- GET http://ratings:9080/ --as default/web
- GET http://reviews.default:9080/ --as other/web
"""

ROUTES = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: to-v1}
spec:
  hosts: [reviews]
  http:
  - {match: [{uri: {prefix: /v1}}], route: [{destination: {host: reviews, subset: v1}}]}
  - {route: [{destination: {host: reviews}}]}
"""


def hashed(**settings: Any) -> dict[str, Any]:
    return {"loadBalancer": {"consistentHash": settings}}


def located(**settings: Any) -> dict[str, Any]:
    return {"loadBalancer": {"localityLbSetting": settings}, "outlierDetection": {}}


#: Blocks that a policy and a port's settings both have; each holds what goes together.
BLOCKS: tuple[dict[str, Any], ...] = (
    {"loadBalancer": {"simple": "RANDOM"}},
    {"loadBalancer": {"simple": "ROUND_ROBIN", "warmup": {"duration": "10s", "minimumPercent": 20, "aggression": 2}}},
    {"loadBalancer": {"warmupDurationSecs": "10s"}},
    hashed(httpHeaderName="x-user", ringHash={"minimumRingSize": 10}),
    hashed(
        httpCookie={"name": "user", "path": "/p", "ttl": "5s", "attributes": [{"name": "SameSite", "value": "Lax"}]},
        maglev={"tableSize": 101},
    ),
    hashed(useSourceIp=True),
    hashed(httpQueryParameterName="user", minimumRingSize=10),
    located(distribute=[{"from": "r1/*", "to": {"r1/*": 80, "r2/*": 20}}]),
    located(failover=[{"from": "r1", "to": "r2"}]),
    located(failoverPriority=["tier"]),
    located(enabled=False),
    {"loadBalancer": {"simple": "RANDOM", "zoneAwareLbSetting": {"enabled": True, "minClusterSize": 1}}},
    {"loadBalancer": {"zoneAwareLbSetting": {"failover": [{"from": "r1", "to": "r2"}]}}, "outlierDetection": {}},
    {"loadBalancer": {"zoneAwareLbSetting": {"failoverPriority": ["tier"]}}, "outlierDetection": {}},
    {
        "connectionPool": {
            "tcp": {
                "maxConnections": 1,
                "connectTimeout": "1s",
                "tcpKeepalive": {"probes": 2, "time": "3s", "interval": "4s"},
                "maxConnectionDuration": "5s",
                "idleTimeout": "6s",
            }
        }
    },
    {
        "connectionPool": {
            "http": {
                "http1MaxPendingRequests": 1,
                "http2MaxRequests": 2,
                "maxRequestsPerConnection": 3,
                "maxRetries": 4,
                "idleTimeout": "5s",
                "h2UpgradePolicy": "UPGRADE",
                "maxConcurrentStreams": 6,
                "http2KeepAlive": {"interval": "7s", "timeout": "8s"},
            }
        }
    },
    {"connectionPool": {"http": {"useClientProtocol": True}}},
    {
        "outlierDetection": {
            "splitExternalLocalOriginErrors": True,
            "consecutiveLocalOriginFailures": 1,
            "consecutiveGatewayErrors": 2,
            "consecutive5xxErrors": 3,
            "interval": "4s",
            "baseEjectionTime": "5s",
            "maxEjectionPercent": 6,
            "minHealthPercent": 7,
            "outlierDetectionHttpErrorCodes": [500],
        }
    },
    {"outlierDetection": {"consecutiveErrors": 3}},
    {
        "tls": {
            "mode": "MUTUAL",
            "clientCertificate": "/a",
            "privateKey": "/b",
            "caCertificates": "/c",
            "caCrl": "/d",
            "subjectAltNames": ["e"],
            "sni": "f",
        }
    },
    {"tls": {"mode": "SIMPLE", "credentialName": "g"}},
    {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}},
)

#: Blocks that a port's settings do not have.
OWN_BLOCKS: tuple[dict[str, Any], ...] = (
    {"tunnel": {"protocol": "POST", "targetHost": "a.example", "targetPort": 80}},
    {"proxyProtocol": {"version": "V2"}},
    {"retryBudget": {"percent": 50, "minRetryConcurrency": 7, "budgetInterval": "3s"}},
)


def specimens() -> Iterator[dict[str, Any]]:
    """The DestinationRules, one block at one place each."""
    for block in (*BLOCKS, *OWN_BLOCKS):
        yield rule({"trafficPolicy": block})
        yield rule({"subsets": [subset(block)]})
    for block in BLOCKS:
        ports = {"portLevelSettings": [{"port": {"number": 9080}, **block}]}
        yield rule({"trafficPolicy": ports})
        yield rule({"subsets": [subset(ports)]})
    selector = {"workloadSelector": {"matchLabels": {"app": "web"}}, "trafficPolicy": BLOCKS[0]}
    yield rule({**selector, "exportTo": ["."]})


def rule(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "specimen"},
        "spec": {
            "host": "reviews",
            "exportTo": ["."],
            "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
            **spec,
        },
    }


def subset(policy: dict[str, Any]) -> dict[str, Any]:
    return {"name": "v1", "labels": {"app": "reviews"}, "trafficPolicy": policy}
