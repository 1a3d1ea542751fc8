import logging

from nodemesh.config.meta import Location
from nodemesh.config.problems import Problem, Severity
from nodemesh.node.logs import Log
from nodemesh.node.problems import LOGGED, tell_new, tell_read, why_refused


def problem(number=0, **more):
    place = Location(file="rules.yaml", line=number, column=3)
    fields = {"kind": "VirtualService", "namespace": "shop", "name": "one", "path": "spec.hosts"} | more
    return Problem(code="x", message=f"wrong {number}", location=place, **fields)


def test_a_finding_is_logged_once_with_its_place_and_its_object(caplog):
    old, new = problem(1), problem(2)
    plain = problem(3, name="", path="", severity=Severity.WARNING)
    with caplog.at_level(logging.INFO):
        tell_new(Log("test"), [old, new, plain], {old})
    assert caplog.messages == [
        'wrong 2 at=rules.yaml:2:3 object="VirtualService shop/one" field=spec.hosts',
        "wrong 3 at=rules.yaml:3:3",
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_of_a_great_many_findings_the_rest_is_counted(caplog):
    with caplog.at_level(logging.INFO):
        tell_new(Log("test"), [problem(number) for number in range(LOGGED + 7)], ())
    assert len(caplog.messages) == LOGGED + 1 and caplog.messages[-1].endswith("more=7")


def test_what_was_read_again_is_named_and_a_refusal_is_no_mere_information(caplog):
    causes = [f"VirtualService shop/{number} changed" for number in range(5)]
    with caplog.at_level(logging.INFO):
        tell_read(Log("test"), 4, causes[:1], "")
        tell_read(Log("test"), 5, causes, why_refused([problem(1, refused=True)]))
    assert caplog.messages[0] == 'configuration read again version=4 changed="VirtualService shop/0 changed"'
    assert "not all of it is in force" in caplog.messages[1] and caplog.messages[1].endswith('changed; and 2 more"')
    assert caplog.records[1].levelname == "WARNING"
