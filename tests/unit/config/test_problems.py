from nodemesh.config.load import load_text
from nodemesh.config.problems import path_text


def test_paths_read_as_people_write_them():
    assert path_text(()) == ""
    assert path_text(("spec", "http", 0, "match", 1, "headers", "end-user")) == "spec.http[0].match[1].headers.end-user"
    assert path_text(("metadata", "labels", "app.kubernetes.io/name")) == 'metadata.labels["app.kubernetes.io/name"]'
    assert path_text(("spec", "ports", "")) == 'spec.ports[""]'


FORGED = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one, namespace: shop}
spec:
  hosts: [a]
  "ro\\e[31mut\\n2026-11-30T00:00:00Z error control: forged": 1
"""


def test_a_key_of_the_configuration_forges_no_line_of_a_log_or_terminal():
    (problem,) = load_text(FORGED, "one.yaml").problems
    assert "ro\\x1b[31mut\\n2026" in problem.message and "\n" not in problem.message + problem.path
