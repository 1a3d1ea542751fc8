import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nodemesh.registry.sources import reviews as module
from nodemesh.registry.sources.reviews import AT_ONCE, BAD, GOOD, NODE, WAITING, Busy, Reviews, UserInfo


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)


class FakeApi:
    def __init__(self, **status):
        self.status = status
        self.asked = []

    async def send(self, method, path, body):
        self.asked.append((method, path, msgspec.json.decode(body)["spec"]))
        return msgspec.json.encode({"status": self.status})


def agent(**status):
    return FakeApi(authenticated=True, user={"username": "agent", "extra": {NODE: ["a"]}}, **status)


def reviews_of(api: Any, now: Callable[[], float] = lambda: 0.0) -> Reviews:
    return Reviews(api, "", now)


def account(reviews, token):
    return asyncio.run(reviews.account(token))


def test_a_good_token_is_remembered_for_a_while():
    api, now = agent(), [0.0]
    reviews = reviews_of(api, lambda: now[0])
    assert account(reviews, "t") == account(reviews, "t") == UserInfo("agent", "a")
    assert api.asked == [("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"token": "t"})]
    now[0] = GOOD
    account(reviews, "t")
    assert len(api.asked) == 2


def test_a_bad_token_is_nobodys_and_asked_for_again_sooner():
    api, now = FakeApi(authenticated=False, user={"username": "agent"}), [0.0]
    reviews = reviews_of(api, lambda: now[0])
    assert account(reviews, "t") == UserInfo("")
    now[0] = BAD
    account(reviews, "t")
    assert len(api.asked) == 2


def test_a_token_for_somebody_else_is_nobodys():
    assert account(Reviews(agent(audiences=["other"]), "relay", lambda: 0.0), "t") == UserInfo("")
    assert account(Reviews(agent(audiences=["relay"]), "relay", lambda: 0.0), "t").user == "agent"


def test_what_is_no_token_is_not_reviewed():
    api = agent()
    reviews = reviews_of(api)
    assert account(reviews, "") == account(reviews, "x" * 20_000) == UserInfo("")
    assert api.asked == []


class Slow(FakeApi):
    """Answers when it may; `most` were asked at once."""

    def __init__(self, **status):
        super().__init__(**status)
        self.may = asyncio.Event()
        self.under_way = self.most = 0

    async def send(self, method, path, body):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.may.wait()
        self.under_way -= 1
        return await super().send(method, path, body)


def test_made_up_tokens_have_the_api_server_asked_few_at_a_time():
    async def run():
        api = Slow(authenticated=False)
        reviews = reviews_of(api)
        asking = [asyncio.ensure_future(reviews.account(f"t{number}", "10.0.0.1")) for number in range(WAITING)]
        other = asyncio.ensure_future(reviews.account("t", "10.0.0.2"))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await reviews.account("more", "10.0.0.1")
        assert api.under_way == AT_ONCE + 1, "one address's waiting is not another's"
        api.may.set()
        assert set(await asyncio.gather(*asking, other)) == {UserInfo("")}
        assert api.most == AT_ONCE + 1 and not reviews._turns
        assert await reviews.account("more", "10.0.0.1") == UserInfo(""), "its turn comes again"

    asyncio.run(run())


def test_a_bad_token_takes_its_addresss_place_for_a_while(monkeypatch):
    rests = []

    async def rest(seconds):
        rests.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", rest)
    account(reviews_of(FakeApi(authenticated=False)), "t")
    account(reviews_of(agent()), "t")
    assert rests == [0.0]


def test_many_requests_with_one_token_are_one_review():
    async def run():
        api = Slow(authenticated=True, user={"username": "agent"})
        reviews = reviews_of(api)
        asking = [asyncio.ensure_future(reviews.account("t", "10.0.0.1")) for _ in range(20)]
        await asyncio.sleep(0)
        api.may.set()
        await asyncio.gather(*asking)
        return len(api.asked)

    assert asyncio.run(run()) <= AT_ONCE


def test_bad_tokens_push_no_good_one_out(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    api = agent()
    reviews = reviews_of(api)
    account(reviews, "good")
    api.status["authenticated"] = False
    for number in range(10):
        account(reviews, f"bad{number}")
    assert account(reviews, "good") == UserInfo("agent", "a")
