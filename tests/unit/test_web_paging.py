"""Lists in parts: nothing twice and nothing left out, whatever comes while they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeflow.web.paging import part_of
from tradeflow.web.parameters import Newest, Paged
from tradeflow.web.problems import LOST_CURSOR, Problem


@given(
    before=st.integers(0, 30),
    limit=st.integers(1, 10),
    arrivals=st.lists(st.integers(0, 5), min_size=40, max_size=40),
)
def test_each_row_comes_once_while_newer_ones_arrive(before, limit, arrivals):
    rows = list(range(before))[::-1]  # newest first
    read, page = [], Newest(limit=limit)
    for arrived in arrivals:
        part, following = part_of(rows, page, str)
        assert len(part) == limit or following is None
        read += part
        if following is None:
            break
        page = Newest(limit=limit, cursor=following)
        rows = list(range(len(rows) + arrived))[::-1]
    assert read == list(range(before))[::-1]


def test_the_last_part_says_that_it_is_the_last():
    assert part_of("abc", Paged(limit=3), str) == (["a", "b", "c"], None)
    assert part_of("abc", Paged(limit=2), str) == (["a", "b"], "b")
    assert part_of("abc", Paged(limit=2, cursor="b"), str) == (["c"], None)
    assert part_of("abc", Paged(limit=2, cursor="c"), str) == ([], None)
    assert part_of("", Paged(), str) == ([], None)


def test_a_cursor_whose_row_has_gone_is_told():
    with pytest.raises(Problem, match=r"cursor='z': no such row is in this list .* begin again") as caught:
        part_of("abc", Paged(cursor="z"), str)
    assert caught.value.kind is LOST_CURSOR
