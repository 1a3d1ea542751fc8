"""Every sentence has its case, or says where else it is shown; every case names a sentence."""

from pathlib import Path

import msgspec
import yaml
from tests.conformance.http.case import cases


class Sentence(msgspec.Struct, forbid_unknown_fields=True):
    """One statement about what a user sees; the number before the dot is its chapter."""

    id: str
    says: str
    elsewhere: str = ""
    differs: str = ""


SENTENCES = msgspec.convert(yaml.safe_load((Path(__file__).parent / "sentences.yaml").read_text()), list[Sentence])
SHOWN = {name for found in cases().values() for case in found for name in case.sentences}


def test_every_sentence_has_a_case():
    assert [one.id for one in SENTENCES if not one.elsewhere and one.id not in SHOWN] == []


def test_what_is_shown_elsewhere_has_none():
    assert [one.id for one in SENTENCES if one.elsewhere and one.id in SHOWN] == []


def test_every_case_names_sentences_that_there_are():
    known = {one.id for one in SENTENCES}
    assert len(known) == len(SENTENCES) and known >= SHOWN, SHOWN - known
    assert all(case.sentences for found in cases().values() for case in found)


def test_every_chapter_is_there():
    assert {one.id.partition(".")[0] for one in SENTENCES} == {*map(str, range(1, 15)), "17", "RC"}


def test_names_of_cases_are_unique():
    names = [case.name for found in cases().values() for case in found]
    assert len(names) == len(set(names))
