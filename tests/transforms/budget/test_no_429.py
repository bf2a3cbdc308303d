"""A client with a budget meets no 429, and gets nearly all that a server allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.budget.oracles import NOW, Client, Server, thoroughly
from transforms.budget.budget import Budget
from transforms.budget.terms import BudgetTerms


@thoroughly
@given(
    st.integers(5, 30),
    st.integers(0, 4),
    st.booleans(),
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 40)),
            st.tuples(st.just("arrive"), st.integers(0, 100)),
            st.tuples(st.just("answer"), st.integers(0, 100)),
            st.tuples(st.just("pass"), st.integers(0, 16 * 20)),
            st.tuples(st.just("others"), st.integers(1, 40)),
        ),
        max_size=150,
    ),
)
def test_no_answer_is_429_while_others_spend_only_in_our_pauses(
    limit: int,
    reserve: int,
    sliding: bool,
    history: list[tuple[str, int]],
) -> None:
    server = Server(limit, 600.0, sliding)
    client = Client(Budget(BudgetTerms(limit, 600.0, reserve)), server, NOW)
    for move, number in history:
        match move:
            case "send":
                client.send(number)
            case "arrive" | "answer" if client.in_flight:
                getattr(client, move)(number)
            case "pass":
                client.now += number / 16
            case "others" if not client.in_flight:
                for _ in range(min(number, server.left(client.now))):
                    server.spend(client.now)
                client.now += 10.5  # longer than a sixtieth of the window: a pause


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("latency_seconds", [1 / 16, 2.0, 30.0])
def test_a_backlog_gets_nearly_all_that_a_server_allows(
    sliding: bool, latency_seconds: float
) -> None:
    server = Server(600, 600.0, sliding)
    budget = Budget(BudgetTerms(600, 600.0, 0))
    client = Client(budget, server, NOW + 100)
    accepted = 0
    while client.now < NOW + 3100:
        while budget.available(client.now) and len(client.in_flight) < 16:
            before = len(client.in_flight)
            client.send(1)
            if len(client.in_flight) == before:
                break
        if client.in_flight:
            client.now += latency_seconds / len(client.in_flight)
            client.answer(0)
            accepted += 1
        else:
            client.now = budget.next_at(client.now)
    # Five windows of 600, or what the latency lets through.
    assert accepted >= min(5 * 600 - 16, 0.9 * 3000 / latency_seconds * 16)
