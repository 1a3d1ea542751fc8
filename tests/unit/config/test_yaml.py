import pytest

from nodemesh.config.meta import Location
from nodemesh.config.yaml import MAX_BYTES, Document, Flaw, Marks, read, write


def one(text):
    (document,) = read(text, "f.yaml")
    assert isinstance(document, Document), document
    return document


def flaw(text):
    found = [item for item in read(text, "f.yaml") if isinstance(item, Flaw)]
    assert len(found) == 1
    return found[0]


def marks(text):
    document = one(text)
    return Marks(document.chunk)


def test_every_key_and_value_has_its_place():
    text = "a: 1\nb:\n  - c: x\n    d: {e: f}\n"
    tree = one(text).root
    line, column, node = tree.find(("b", 0, "d", "e"))
    assert (line, column) == (4, 9)
    assert (node.line, node.column, node.value) == (4, 12, "f")
    assert tree.find(("b", 0))[:2] == (3, 5)
    assert tree.find(("b", 1)) is None
    assert tree.find(("b", 0, "d", "e", "x")) is None


def test_lines_go_on_over_the_documents_of_a_file():
    documents = list(read("a: 1\n---\n# comment\nb: 2\n---\nc: 3\n", "f.yaml"))
    assert [document.root.value for document in documents] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert [document.root.line for document in documents] == [1, 4, 6]


def test_marks_map_paths_to_keys():
    found = marks("spec:\n  http:\n  - timeout: 5s\n    per_try_timeout: 1s\n")
    assert found["spec", "http", 0, "timeout"] == Location("f.yaml", 3, 5)
    assert found["spec", "http", 0, "perTryTimeout"] == Location("f.yaml", 4, 5)  # written in snake_case
    assert found.get(("spec", "tls")) is None
    assert set(found) == {
        ("spec",),
        ("spec", "http"),
        ("spec", "http", 0),
        ("spec", "http", 0, "timeout"),
        ("spec", "http", 0, "per_try_timeout"),
    }
    assert len(found) == 5


def test_marks_of_equal_text_at_the_same_place_are_equal():
    assert marks("a: 1\n") == marks("a: 1\n")
    assert hash(marks("a: 1\n")) == hash(marks("a: 1\n"))
    assert marks("a: 1\n") != marks("a: 2\n")


def test_marks_below_a_prefix():
    document = one("items:\n- a: 1\n- b: 2\n")
    assert Marks(document.chunk, ("items", 1))["b",] == Location("f.yaml", 3, 3)


def test_marks_of_a_long_list_share_one_tree():
    """Ten thousand items of one `kind: List` must not mean ten thousand readings of the whole text."""
    document = one("items:\n" + "".join(f"- a: {number}\n" for number in range(10_000)))
    for number in range(10_000):
        assert Marks(document.chunk, ("items", number))["a",].line == number + 2


def test_a_document_may_end_with_dots():
    assert [item.root.value for item in read("a: 1\n...\n---\nb: 2\n", "f.yaml")] == [{"a": 1}, {"b": 2}]
    assert flaw("a: 1\n...\nb: 2\n").location.line == 3


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n---\n", b"\xef\xbb\xbf", "null\n"])
def test_nothing_is_no_document(text):
    assert list(read(text, "f.yaml")) == []


def test_encodings():
    assert one("a: ü\n".encode()).root.value == {"a": "ü"}
    assert one(b"\xef\xbb\xbfa: 1\n").root.value == {"a": 1}
    assert one("a: ü\n".encode("utf-16")).root.value == {"a": "ü"}
    found = flaw(b"a: 1\nb: \xff\n")
    assert (found.code, found.location) == ("not-utf8", Location("f.yaml", 2, 4))
    assert "0xff" in found.message


def test_a_broken_document_spoils_no_other():
    good, bad, last = read("a: 1\n---\na: b\n  c: d\n---\nb: 2\n", "f.yaml")
    assert good.root.value == {"a": 1}
    assert last.root.value == {"b": 2}
    assert (bad.code, bad.location.line) == ("yaml-syntax", 4)


def test_tabs_are_explained():
    assert "no tabs" in flaw("a:\n\tb: 1\n").message


def test_a_document_marker_inside_a_block_scalar_is_text():
    assert one("a: |\n  x\n  ---\n  y\n").root.value == {"a": "x\n---\ny\n"}


def test_duplicate_keys_are_told_with_both_lines():
    (found,) = one("a: 1\nb: 2\na: 3\n").flaws
    assert (found.code, found.location.line, found.path) == ("duplicate-key", 3, ("a",))
    assert "line 1" in found.message


def test_anchors_are_expanded():
    assert one("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n").root.value["c"] == [{"k": 1}, {"k": 1}]
    assert one("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n").root.value["b"] == {"k": 3, "l": 2}
    assert one("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y]}\n").root.value["c"] == {"k": 1, "m": 3}


def test_bombs_do_not_go_off():
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{','.join(['*' + before] * 10)}]")
    assert flaw("\n".join(lines)).code == "yaml-alias"
    assert flaw("a: &x [*x]\n").code == "yaml-alias"
    assert flaw("a: *nowhere\n").code == "yaml-alias"
    assert flaw("[" * 100_000).code in ("yaml-too-deep", "yaml-syntax")
    assert flaw("a: " + "[" * 101 + "]" * 101).code == "yaml-too-deep"


def test_keys_that_yaml_reads_otherwise():
    (found,) = one("on: 1\n").flaws
    assert found.code == "yaml-key"
    assert "`on`" in found.message
    assert one("true: 1\n80: x\nnull: z\n").root.value == {"true": 1, "80": "x", "null": "z"}
    assert not one("true: 1\n").flaws
    assert flaw("? {a: b}\n: c\n").code == "yaml-key"


def test_large_files_are_bounded():
    found = flaw("a" * (MAX_BYTES + 1))
    assert found.code == "file-too-large"


def test_ten_megabytes_are_read():
    text = "---\n".join(f"name: n{number}\ntext: {'x' * 1000}\n" for number in range(10_000))
    assert len(text) > 10_000_000
    assert sum(1 for _ in read(text, "f.yaml")) == 10_000


def test_what_is_written_is_read_back():
    data = {"b": [1, {"c": "yes"}], "a": None, "text": "x\ny\n"}
    assert one(write(data)).root.value == data
    shared = {"k": 1}
    assert "&" not in write([shared, shared])
