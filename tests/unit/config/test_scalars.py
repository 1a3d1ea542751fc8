import math

import pytest

from nodemesh.config.scalars import scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("yes", True),
        ("On", True),
        ("y", True),
        ("NO", False),
        ("off", False),
        ("yeS", "yeS"),
        ("12", 12),
        ("-12", -12),
        ("0", 0),
        ("012", 10),
        ("0o12", 10),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1:20", "1:20"),
        ("1.2.3.4", "1.2.3.4"),
        ("2020-01-01", "2020-01-01"),
        ("5s", "5s"),
        ("-", "-"),
        ("nope", "nope"),
        ("1" * 5000, "1" * 5000),
    ],
)
def test_plain_scalars_mean_what_kubernetes_reads(text, value):
    found = scalar(text, None, plain=True)
    assert found == value
    assert type(found) is type(value)


def test_special_numbers():
    assert scalar(".inf", None, plain=True) == math.inf
    assert scalar("-.Inf", None, plain=True) == -math.inf
    assert math.isnan(scalar(".nan", None, plain=True))


def test_quoted_scalars_are_text():
    assert scalar("yes", None, plain=False) == "yes"
    assert scalar("12", None, plain=False) == "12"


def test_tags_decide():
    assert scalar("12", "tag:yaml.org,2002:str", plain=True) == "12"
    assert scalar("12", "tag:yaml.org,2002:int", plain=False) == 12
    assert scalar("12", "!mine", plain=True) == "12"
