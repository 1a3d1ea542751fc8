def test_a_condition_is_not_trimmed(told):
    """Istio's validator takes `5xx, reset` for a condition with a space in front."""
    retries = {"attempts": 1, "retryOn": "5xx, reset"}
    spec = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}], "retries": retries}]}
    assert told("VirtualService", spec) == ["bad-retry-on spec.http[0].retries.retryOn"]


def test_every_wrong_condition_is_told(told):
    retries = {"attempts": 1, "retryOn": "a,5xx,b,503"}
    spec = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}], "retries": retries}]}
    assert told("VirtualService", spec) == ["bad-retry-on spec.http[0].retries.retryOn"] * 2


def test_a_fault_without_percentage_never_happens(told):
    fault = {"delay": {"fixedDelay": "1s"}, "abort": {"httpStatus": 500}}
    spec = {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}], "fault": fault}]}
    assert told("VirtualService", spec) == [
        "no-percentage spec.http[0].fault.abort",
        "no-percentage spec.http[0].fault.delay",
    ]
