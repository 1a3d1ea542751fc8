import os

import pytest

from nodemesh.registry.sources.directory import DirectorySource

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: 10.96.0.1, ports: [{{port: {port}, name: http}}]}}
"""


def write(path, *services):
    path.write_text("---\n".join(SERVICE.format(name=name, port=port) for name, port in services))


def names(changes):
    return sorted(item.meta.name for item in changes.changed.values())


def test_reads_folders_and_says_only_what_changed(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "a.yaml", ("a", 80), ("b", 80))
    write(tmp_path / "deep" / "c.yml", ("c", 80))
    (tmp_path / "notes.txt").write_text("not yaml: [")
    source = DirectorySource([tmp_path])
    assert names(source.scan()) == ["a", "b", "c"]
    assert source.scan() is None
    write(tmp_path / "a.yaml", ("a", 80), ("b", 8080))
    assert names(source.scan()) == ["b"]


def test_a_broken_file_keeps_its_last_good_objects(tmp_path):
    file = tmp_path / "a.yaml"
    write(file, ("a", 80))
    source = DirectorySource([tmp_path])
    source.scan()
    file.write_text(SERVICE.format(name="a", port=80) + "  broken: [\n")
    changes = source.scan()
    assert not changes.changed and not changes.removed
    assert [problem.refused for problem in changes.problems] == [True]
    write(file, ("a", 81))
    while (changes := source.scan()) is None:  # it shrank: taken at the second look
        pass
    assert names(changes) == ["a"] and changes.problems == ()


def test_a_refused_object_keeps_its_last_good_state_beside_good_ones(tmp_path):
    file = tmp_path / "a.yaml"
    rule = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\nspec: {{hosts: [a], {}}}\n"
    good = "http: [{redirect: {uri: /x}}]"
    file.write_text(SERVICE.format(name="a", port=80) + "---\n" + rule.format(good))
    source = DirectorySource([tmp_path])
    assert names(source.scan()) == ["a", "r"]
    file.write_text(SERVICE.format(name="a", port=8080) + "---\n" + rule.format("httpp: [{redirect: {uri: /x}}]"))
    changes = source.scan()
    assert names(changes) == ["a"] and not changes.removed
    assert [problem.name for problem in changes.problems if problem.refused] == ["r"] * len(changes.problems)


def test_a_deleted_file_takes_its_objects_along(tmp_path):
    write(tmp_path / "a.yaml", ("a", 80))
    write(tmp_path / "b.yaml", ("b", 80))
    source = DirectorySource([tmp_path])
    source.scan()
    (tmp_path / "b.yaml").unlink()
    assert [str(key) for key in source.scan().removed] == ["Service default/b"]


def test_an_object_in_two_files_is_the_first_ones(tmp_path):
    write(tmp_path / "a.yaml", ("a", 80))
    write(tmp_path / "b.yaml", ("a", 81))
    changes = DirectorySource([tmp_path]).scan()
    assert [item.spec.ports[0].port for item in changes.changed.values()] == [80]
    assert [problem.code for problem in changes.problems] == ["duplicate-object"]
    assert changes.problems[0].location.file.endswith("b.yaml")


def test_a_missing_path_is_a_problem_until_it_is_there(tmp_path):
    source = DirectorySource([tmp_path / "later.yaml"])
    assert [problem.code for problem in source.scan().problems] == ["no-such-path"]
    assert source.scan() is None
    write(tmp_path / "later.yaml", ("a", 80))
    changes = source.scan()
    assert names(changes) == ["a"] and changes.problems == ()


@pytest.mark.parametrize("named", [".", "a.yaml"])
def test_a_path_that_goes_away_keeps_what_it_held(tmp_path, named):
    folder = tmp_path / "mesh"
    folder.mkdir()
    write(folder / "a.yaml", ("a", 80))
    source = DirectorySource([folder / named])
    source.scan()
    folder.rename(tmp_path / "elsewhere")
    changes = source.scan()
    assert [problem.code for problem in changes.problems] == ["no-such-path"] and changes.removed == ()
    assert source.scan() is None
    (tmp_path / "elsewhere").rename(folder)
    assert source.scan().problems == ()
    write(folder / "a.yaml", ("b", 80))
    assert names(source.scan()) == ["b"]


def test_a_file_emptied_in_the_middle_of_a_write_is_not_taken_at_once(tmp_path):
    file = tmp_path / "a.yaml"
    write(file, ("a", 80), ("b", 80))
    source = DirectorySource([tmp_path])
    source.scan()
    file.write_text("")
    assert source.scan() is None
    write(file, ("a", 80), ("b", 81))
    assert names(source.scan()) == ["b"]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("nowhere")
    assert DirectorySource([tmp_path]).scan() is None


def test_what_may_not_change_stays_as_it_was(tmp_path):
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a}\n"
        "spec: {controllerName: one.example/a}\n"
    )
    file = tmp_path / "class.yaml"
    file.write_text(text)
    source = DirectorySource([file])
    source.scan()
    file.write_text(text.replace("one.example", "other.example"))
    changes = source.scan()
    (problem,) = changes.problems
    assert (problem.code, problem.path, problem.location.line) == ("immutable-field", "spec.controllerName", 4)
    assert problem.refused and not changes.changed and not changes.removed
