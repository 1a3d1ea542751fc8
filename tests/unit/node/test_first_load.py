"""What the agent begins with, and what it refuses to begin with."""

import pytest

from nodemesh.config.load import load_text
from nodemesh.node.first_load import check_first
from nodemesh.node.options import StartError
from nodemesh.registry.store import FILES, Store

GOOD = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 80}]}
"""
BAD = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad}
spec: {hosts: [reviews], http: [{retries: {attempts: many}}]}
"""


def snapshot(text: str):
    loaded = load_text(text, "mesh.yaml")
    return Store().apply(FILES, loaded.objects, (), loaded.problems)


def test_what_is_good_begins_and_so_does_nothing_at_all():
    check_first(snapshot(GOOD), strict=True)
    check_first(snapshot(""), strict=True)


def test_one_refused_object_is_an_error_with_its_place_unless_the_rest_is_to_serve():
    with pytest.raises(StartError, match=r"^mesh.yaml:\d+:\d+: .*1 in all.*--keep-going"):
        check_first(snapshot(f"{GOOD}---{BAD}"), strict=True)
    check_first(snapshot(f"{GOOD}---{BAD}"), strict=False)


def test_nothing_but_errors_is_one_in_any_case():
    with pytest.raises(StartError, match=r"nothing but errors \(1 in all\); the first is at mesh.yaml:"):
        check_first(snapshot(BAD), strict=False)
