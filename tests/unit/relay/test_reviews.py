import asyncio

import msgspec

from nodemesh.relay.reviews import BAD, GOOD, NODE, Account, Reviews


class Api:
    def __init__(self, **status):
        self.status = status
        self.asked = []

    async def send(self, method, path, body):
        self.asked.append((method, path, msgspec.json.decode(body)["spec"]))
        return msgspec.json.encode({"status": self.status})


def agent(**status):
    return Api(authenticated=True, user={"username": "agent", "extra": {NODE: ["a"]}}, **status)


def account(reviews, token):
    return asyncio.run(reviews.account(token))


def test_a_good_token_is_remembered_for_a_while():
    api, now = agent(), [0.0]
    reviews = Reviews(api, "", lambda: now[0])
    assert account(reviews, "t") == account(reviews, "t") == Account("agent", "a")
    assert api.asked == [("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"token": "t"})]
    now[0] = GOOD
    account(reviews, "t")
    assert len(api.asked) == 2


def test_a_bad_token_is_nobodys_and_asked_for_again_sooner():
    api, now = Api(authenticated=False, user={"username": "agent"}), [0.0]
    reviews = Reviews(api, "", lambda: now[0])
    assert account(reviews, "t") == Account("")
    now[0] = BAD
    account(reviews, "t")
    assert len(api.asked) == 2


def test_a_token_for_somebody_else_is_nobodys():
    assert account(Reviews(agent(audiences=["other"]), "relay", lambda: 0.0), "t") == Account("")
    assert account(Reviews(agent(audiences=["relay"]), "relay", lambda: 0.0), "t").user == "agent"


def test_what_is_no_token_is_not_reviewed():
    api = agent()
    reviews = Reviews(api, "", lambda: 0.0)
    assert account(reviews, "") == account(reviews, "x" * 20_000) == Account("")
    assert api.asked == []
