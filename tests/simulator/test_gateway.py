"""What a request is to a function behind the simulated API Gateway."""

from __future__ import annotations

from simulator.region import _proxy_event


def test_a_path_comes_as_it_was_sent_and_a_query_is_decoded() -> None:
    target = "/v1.0/p/instances/i/users/a%40b?marker=a%40%25&limit=2&flag="
    event = _proxy_event("GET", target, {}, b"")
    assert event is not None
    assert event["pathParameters"] == {"project": "p", "instance": "i", "user": "a%40b"}
    assert event["queryStringParameters"] == {"marker": "a@%", "limit": "2", "flag": ""}
    assert event["multiValueQueryStringParameters"]["marker"] == ["a@%"]
