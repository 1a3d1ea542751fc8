import pytest

from nodemesh.config.load import load_text


@pytest.mark.parametrize(
    ("kind", "place", "name", "value"),
    [
        ("Pod", "labels", "nodemesh.io/mesh", "off"),
        ("Namespace", "annotations", "nodemesh.io/mesh", "true"),
        ("Pod", "annotations", "nodemesh.io/dns", "yes"),
        ("Namespace", "labels", "nodemesh.io/sockmap", "auto"),
        ("Service", "annotations", "nodemesh.io/l7", "sometimes"),
        ("Service", "annotations", "nodemesh.io/failure-policy", "ajar"),
    ],
)
def test_a_value_that_means_nothing_is_told_with_its_place(kind, place, name, value):
    spec = "{ports: [{port: 80}]}" if kind == "Service" else "{}"
    text = f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: a\n  {place}:\n    {name}: '{value}'\nspec: {spec}\n"
    loaded = load_text(text, "a.yaml")
    (problem,) = loaded.problems
    assert (problem.code, problem.refused, problem.location.line) == ("bad-annotation", False, 6)
    assert problem.message.startswith(f"`{value}` is no value of {name}")
    assert len(loaded.objects) == 1


def test_the_values_that_mean_something_pass():
    text = (
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations: {nodemesh.io/l7: always,"
        " nodemesh.io/failure-policy: closed}\nspec: {ports: [{port: 80}]}\n"
    )
    assert load_text(text, "a.yaml").problems == ()
