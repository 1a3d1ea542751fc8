import pytest

from nodemesh.config.colons import STAND_IN
from nodemesh.config.yaml import Document, Flaw, read


def value(text):
    (found,) = read(text, "f.yaml")
    return found.root.value if isinstance(found, Document) else found.code


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a: [10.0.0.1, 2001:db8::]", {"a": ["10.0.0.1", "2001:db8::"]}),
        ("a: [2001:db8::, fe80::]", {"a": ["2001:db8::", "fe80::"]}),
        ("a: {b: 2001:db8::, c: fe80::}", {"a": {"b": "2001:db8::", "c": "fe80::"}}),
        ("a: [2001:db8::/32, ab:cd::1]", {"a": ["2001:db8::/32", "ab:cd::1"]}),
        ('a: ["x:]", y::]\nb: {"k":[1]}', {"a": ["x:]", "y::"], "b": {"k": [1]}}),
        ("# c:]\na: [x::]\nb: |\n  q:]\nc: 'z:}'", {"a": ["x::"], "b": "q:]\n", "c": "z:}"}),
        # what goyaml refuses as well
        ("a: [::]", "yaml-syntax"),
        ("a: [::1]", "yaml-syntax"),
        ("a: ::", "yaml-syntax"),
        (f"a: [x::, {STAND_IN}]", "yaml-syntax"),
    ],
)
def test_a_colon_at_the_end_of_a_plain_scalar_is_text_as_for_kubectl(text, meaning):
    assert value(text) == meaning


def test_places_stay_as_they_are():
    (found,) = read("spec:\n  addresses: [2001:db8::, x]\n  ports: [y]\n", "f.yaml")
    place = found.root.find(("spec", "addresses", 1))
    assert place is not None and place[:2] == (2, 27)
    (flaw,) = read("a: [x::, ::1]", "f.yaml")
    assert isinstance(flaw, Flaw) and (flaw.location.line, flaw.location.column) == (1, 10)
