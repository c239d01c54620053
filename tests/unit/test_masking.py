"""What is shown of a text that may hold credentials."""

from __future__ import annotations

import pytest

from tradeflow.masking import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:pa55@cache:6379/0", "redis://***@cache:6379/0"),
        ("redis://me:p@ss@cache:6379/0", "redis://***@cache:6379/0"),
        ("GET https://me:pa55@repository/a.jar failed: 401", "GET https://***@repository/a.jar failed: 401"),
        ("a://b:c@d,e://f:g@h", "a://***@d,e://***@h"),
        ("wss://stream.example/ws/btcusdt@depth", "wss://stream.example/ws/btcusdt@depth"),
        ("localhost:9092", "localhost:9092"),
    ],
)
def test_the_user_and_password_of_a_url_are_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown
