"""Whatever stands in a file: no exception, every problem in place, and both ways of decoding agree."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from nodemesh.config.codes import CODES
from nodemesh.config.decode import _Explainer, decode, type_of
from nodemesh.config.load import load_object, load_text
from nodemesh.config.problems import Findings
from nodemesh.config.virtualservice import HTTPRoute, VirtualServiceSpec

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["5s", "*"]),
)
WORDS = st.sampled_from(
    ["hosts", "http", "match", "uri", "prefix", "regex", "route", "destination", "host", "timeout", "retries", "weight"]
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        "a: b\n",
        "- x\n",
        "---\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        ": ",
        "|\n",
        "'",
        '"',
        "#",
        "\t",
        "!!int ",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_read_or_refused(text):
    loaded = load_text(text, "f.yaml")
    for problem in loaded.problems:
        assert problem.code in CODES
        assert problem.location.line >= 1


@settings(max_examples=200, deadline=None)
@given(DATA)
def test_any_spec_is_accepted_or_explained(data):
    envelope = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}}
    loaded = load_object({**envelope, "spec": data}, "api")
    assert bool(loaded.objects) != any(problem.refused for problem in loaded.problems)
    assert {problem.code for problem in loaded.problems} <= set(CODES)


@settings(max_examples=200, deadline=None)
@given(DATA)
def test_both_ways_of_decoding_agree(data):
    for spec in (VirtualServiceSpec, HTTPRoute):
        fast, slow = Findings(), Findings()
        found = decode(data, spec, (), fast)
        explained = _Explainer(slow, None).value(type_of(spec), data, ())
        assert [item.code for item in fast.items] == [item.code for item in slow.items]
        if not slow.items:
            assert msgspec.json.encode(found, enc_hook=repr) == msgspec.json.encode(explained, enc_hook=repr)
