"""The pages are what their generator makes of what is kept, and a run renews its own numbers alone."""

import json

import pytest
from tests.bench import page, processor, report
from tests.bench.outcome import Figure, Outcome
from tests.bench.page import SECTIONS, kept_of, rendered

MACHINE = {"kernel": "6.1", "processor": "x86_64", "cores": 2, "python": "3.11.2"}


def run(suite, value, day="2026-01-02"):
    """A run of one suite in which every figure has this value, and one that nobody shows."""
    shown = [number for section in SECTIONS if section.suite == suite for number in section.numbers]
    figures = [
        {"case": number.case, "subject": number.subject, "name": number.name, "value": value, "unit": number.unit}
        for number in shown
    ]
    other = {"case": "other", "subject": "", "name": "other", "value": 1.0, "unit": ""}
    outcome = {"figures": [*figures, other], "mistakes": [], "notes": ["nodemesh is pure Python"]}
    return {"finished": f"{day}T10:00:00Z", "machine": MACHINE, "suites": {suite: outcome}}


def test_the_page_is_in_step():
    assert page.PAGE.read_text() == rendered(json.loads(page.KEPT.read_text()))


def test_every_figure_of_a_suite_stands_there_with_how_it_was_measured():
    for suite in dict.fromkeys(section.suite for section in SECTIONS):
        text = rendered(kept_of([run(suite, 250.0)], {}))
        own = [section for section in SECTIONS if section.suite == suite]
        for section in own:
            assert page.wrapped(section.how) in text
            assert all(f"| {number.what} | " in text for number in section.numbers)
        assert text.count("## ") == len(own)
        assert f"Suite `{suite}`, 2026-01-02, 2 cores, Linux 6.1, Python 3.11.2. Nodemesh is pure Python." in text


def test_a_run_renews_its_own_numbers_and_no_others():
    before = kept_of([run("rollout", 1_000.0), run("fleet", 7.0)], {})
    after = kept_of([run("rollout", 2_000.0, "2026-02-03")], before)
    assert after["fleet"] == before["fleet"] and after["rollout"]["finished"] == "2026-02-03"
    assert "| requests | 2,000 |" in rendered(after)
    assert all(figure["case"] != "other" for figure in after["rollout"]["figures"])


def test_what_no_run_has_is_not_on_the_page_and_is_told():
    kept = kept_of([run(suite, 7.0) for suite in dict.fromkeys(section.suite for section in SECTIONS)], {})
    assert page.missing(kept) == []
    kept["fleet"]["figures"] = [f for f in kept["fleet"]["figures"] if f["subject"] != "relay killed"]
    (line,) = page.missing(kept)
    assert line.startswith("fleet: What a thousand nodes cost the API server: relay killed: ")
    assert "relay killed:" not in rendered(kept)


def test_processor_time_is_shown_as_a_share_of_a_core():
    assert "| nodemesh: of a core for 1,000 requests/s | 3.50 % |" in rendered(kept_of([run("latency", 35.0)], {}))


def test_what_the_bench_writes_becomes_the_page_and_a_quick_run_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "KEPT", tmp_path / "numbers.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "numbers.md")
    (tmp_path / "sizing.md").write_text(page.SIZING.read_text())
    monkeypatch.setattr(page, "SIZING", tmp_path / "sizing.md")
    shown = [number for section in SECTIONS if section.suite == "cluster" for number in section.numbers]
    figures = [Figure(number.case, number.subject, number.name, 42.0, number.unit) for number in shown]
    report.write(tmp_path / "full.json", {"cluster": Outcome(figures, [], [])}, [])
    quick = [figure._replace(case=f"quick: {figure.case}") for figure in figures]
    report.write(tmp_path / "quick.json", {"cluster": Outcome(quick, [], [])}, [])
    page.main([str(tmp_path / "full.json")])
    assert page.PAGE.read_text().count("| 42") == len(shown)
    before = page.PAGE.read_text(), page.KEPT.read_text()
    with pytest.raises(SystemExit, match="quick.json has no number of the page"):
        page.main([str(tmp_path / "quick.json")])
    assert (page.PAGE.read_text(), page.KEPT.read_text()) == before


def test_the_sizing_pages_processor_time_is_in_step():
    text = page.SIZING.read_text()
    assert processor.BEGIN in text and processor.END in text
    assert text == processor.placed(text, processor.rendered(json.loads(page.KEPT.read_text()), page.wrapped))


def test_the_table_of_processor_time_has_a_row_for_each_case_of_both_sides():
    runs = []
    for suite, value in (("http", 35.4), ("relay", 870.0)):
        made = run(suite, 0.0)
        made["suites"][suite]["figures"] += [
            {"case": case, "subject": subject, "name": name, "value": value * (subject == "envoy" or 2), "unit": ""}
            for case, subject, name in processor.wanted(suite)
        ]
        runs.append(made)
    kept = kept_of(runs, {})
    text = processor.rendered(kept, page.wrapped)
    assert "| small answers on 32 kept connections | 71 µs | 0.071 | 35 µs |" in text
    assert "| the same with a TLS handshake (P-256) | 1,740 µs | 1.7 | 870 µs |" in text
    assert all(f"| {row.what} | " in text for row in processor.ROWS)
    assert "Suite `relay`, 2026-01-02, 2 cores, Linux 6.1, Python 3.11.2. Nodemesh is pure Python." in text
    assert processor.rendered({}, page.wrapped) == ""
    assert "other" not in str([each["figures"] for each in kept.values()])
