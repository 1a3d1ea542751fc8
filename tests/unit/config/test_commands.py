"""How command operators in header values are written."""

import pytest

from nodemesh.config.commands import COMMANDS, FormatError, parse


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", ["plain"]),
        ("100%%", ["100", "%"]),
        ("<%PROTOCOL%>", ["<", ("PROTOCOL", "", -1), ">"]),
        ("%REQ(user-agent?x-b):3%", [("REQ", "user-agent?x-b", 3)]),
        ("%REQ(:path)%", [("REQ", ":path", -1)]),
        ("%START_TIME(%Y-%m-%dT%H:%M:%S.%3f)%", [("START_TIME", "%Y-%m-%dT%H:%M:%S.%3f", -1)]),
        ("%START_TIME%", [("START_TIME", "", -1)]),
        ('%DYNAMIC_METADATA(["a","b"])%', [("DYNAMIC_METADATA", '["a","b"]', -1)]),
        ("%PATH(NQ:ORIG):5%", [("PATH", "NQ:ORIG", 5)]),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", [("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "16", -1)]),
    ],
)
def test_a_value_is_its_texts_and_operators(text, parts):
    assert [part if isinstance(part, str) else part[2:] for part in parse(text)] == parts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%NOPE%", "%NOPE% is not one of"),
        ("%DOWNSTREAM_PEER_SUBJEKT%", "perhaps %DOWNSTREAM_PEER_SUBJECT%"),
        ("50% off", "write %% for one that is meant"),
        ("%", "write %%"),
        ("%req(x)%", "write %% for"),
        ("%REQ%", "needs an argument"),
        ("%REQ()%", "needs an argument"),
        ("%REQ(a?b?c)%", "or two as"),
        ("%REQ(a b)%", "a field's name"),
        ("%PROTOCOL(x)%", "takes no argument"),
        ("%PROTOCOL:3%", "cannot be cut"),
        ("%START_TIME:4%", "cannot be cut"),
        ("%PATH(NQ:PATH_OR_ORIG)%", "ORIG_OR_PATH"),
        ("%GRPC_STATUS(x)%", "SNAKE_STRING"),
    ],
)
def test_what_is_no_operator_is_said_to_be_none(text, says):
    with pytest.raises(FormatError, match=says.replace("?", r"\?").replace("(", r"\(")):
        parse(text)


def test_envoys_list_is_there():
    assert {"REQ", "RESP", "TRAILER", "STREAM_ID", "UPSTREAM_PEER_CERT_V_END", "TLS_JA4_FINGERPRINT"} <= COMMANDS.keys()
    assert len(COMMANDS) > 140
