from tests.meshes import pod

from nodemesh.registry.podindex import PodIndex


def names(index, **selector):
    return [found.meta.name for found in index.selected(selector)]


def test_pods_are_selected_by_all_labels_in_the_order_of_their_names():
    pods = {name: pod(name, "10.1.0.1", labels) for name, labels in (
        ("b", {"app": "web", "v": "1"}), ("a", {"app": "web", "v": "1"}), ("c", {"app": "web", "v": "2"}),
    )}  # fmt: skip
    index = PodIndex(pods)
    assert names(index, app="web", v="1") == ["a", "b"]
    assert names(index, app="web", v="3") == names(index, app="db") == names(index) == []


def test_what_changes_counts_before_anybody_has_asked_and_after():
    pods = {}
    index = PodIndex(pods)

    def change(name, labels):
        before = pods.pop(name, None)
        if labels is not None:
            pods[name] = pod(name, "10.1.0.1", labels)
        index.changed(name, before, pods.get(name))

    change("a", {"app": "web"})
    assert names(index, app="web") == ["a"]
    change("b", {"app": "web"})
    change("a", {"app": "db"})
    assert (names(index, app="web"), names(index, app="db")) == (["b"], ["a"])
    change("b", None)
    assert names(index, app="web") == []
    change("b", {"app": "web"})
    assert names(index, app="web") == ["b"]
