from nodemesh.telemetry.memo import LIMIT, LONGEST, Memo


class Upper(Memo[bytes, str]):
    def __init__(self) -> None:
        self.made = 0

    def make(self, key: bytes) -> str:
        self.made += 1
        return key.decode().upper()


def test_makes_each_once():
    memo = Upper()
    assert [memo[b"get"], memo[b"get"], memo[b"put"]] == ["GET", "GET", "PUT"]
    assert memo.made == 2


def test_stays_within_its_bounds():
    memo = Upper()
    for number in range(LIMIT + 10):
        assert memo[b"%d" % number] == str(number)
        assert len(memo) <= LIMIT
    assert memo[b"x" * (LONGEST + 1)] == "X" * (LONGEST + 1)
    assert b"x" * (LONGEST + 1) not in memo
