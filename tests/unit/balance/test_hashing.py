from nodemesh.balance.hashing import cookie_value, hash_header, hash_key


def test_the_hash_is_xxhash64():
    # from the reference implementation's test vectors
    assert hash_key(b"") == 0xEF46DB3751D8E999
    assert hash_key(b"a") == 0xD24EC4F1A98C6E5B


def test_the_order_of_a_headers_values_does_not_matter():
    assert hash_header([b"a", b"b"]) == hash_header([b"b", b"a"]) != hash_header([b"a"])


def test_one_value_hashes_as_itself():
    assert hash_header([b"jason"]) == hash_key(b"jason")


def test_a_made_cookie_names_the_connection():
    assert cookie_value(b"10.0.0.1:5000", b"10.0.0.2:80") != cookie_value(b"10.0.0.1:5001", b"10.0.0.2:80")
    assert len(cookie_value(b"a", b"b")) == 16
