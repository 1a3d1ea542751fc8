import uuid

from nodemesh.proxy.http.request_id import BATCH, RequestIds


def test_they_are_uuids_of_version_4_and_never_the_same():
    source = RequestIds()
    made = [source.next().decode() for _ in range(3 * BATCH)]
    assert len(set(made)) == len(made)
    for text in made:
        assert str(uuid.UUID(text)) == text
        assert uuid.UUID(text).version == 4 and uuid.UUID(text).variant == uuid.RFC_4122
