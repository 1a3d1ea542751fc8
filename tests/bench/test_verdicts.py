"""What makes a run fail: a figure beyond its limit, or a mistake."""

import io

import pytest
from rich.console import Console
from tests.bench import report, thresholds
from tests.bench.outcome import Figure, Outcome
from tests.bench.thresholds import Threshold


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(thresholds, "THRESHOLDS", (Threshold("http", "small", "nodemesh", "ratio", ">=", 1.0),))


def concluded(ratio: float, *mistakes: str) -> tuple[bool, bool, str]:
    outcomes = {"http": Outcome([Figure("small", "nodemesh", "ratio", ratio)], list(mistakes), [])}
    verdicts = thresholds.judge(outcomes)
    text = io.StringIO()
    shown = report.conclude(Console(file=text, width=100), outcomes, verdicts)
    return shown, report.document(outcomes, verdicts)["passed"], text.getvalue()


def test_a_met_limit_passes():
    assert concluded(1.0)[:2] == (True, True)


def test_a_missed_limit_fails():
    passed, in_json, text = concluded(0.99)
    assert not passed and not in_json
    assert "http: small: nodemesh ratio >= 1: 0.99" in text


def test_a_mistake_fails_whatever_the_figures_say():
    passed, in_json, text = concluded(3.0, "envoy dropped 2 connections")
    assert not passed and not in_json
    assert "envoy dropped 2 connections" in text


def test_a_limit_whose_case_did_not_run_is_not_judged():
    assert thresholds.judge({"http": Outcome([], [], [])}) == []
