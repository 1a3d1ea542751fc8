from nodemesh.config.problems import path_text


def test_paths_read_as_people_write_them():
    assert path_text(()) == ""
    assert path_text(("spec", "http", 0, "match", 1, "headers", "end-user")) == "spec.http[0].match[1].headers.end-user"
    assert path_text(("metadata", "labels", "app.kubernetes.io/name")) == 'metadata.labels["app.kubernetes.io/name"]'
    assert path_text(("spec", "ports", "")) == 'spec.ports[""]'
