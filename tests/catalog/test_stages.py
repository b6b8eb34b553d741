"""Stages of a policy: what is stored says all that was meant."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from governance.catalog.stages import BY_SECURITY, KINDS, Approvers, Stage, approvers_of, as_stages, route_of

approvers = st.builds(
    Approvers, st.sampled_from(KINDS), st.sampled_from(["", "a-group"]), st.sampled_from([(), ("one", "two")])
)
stages = st.builds(
    Stage,
    approvers,
    st.integers(1, 5),
    st.none() | st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    st.none() | approvers,
)


@given(st.lists(stages, max_size=4))
def test_what_is_stored_is_read_as_it_was_meant(route: list[Stage]) -> None:
    assert route_of([stage.as_json() for stage in route]) == tuple(route)


def test_a_plain_kind_wants_one_answer_of_that_kind() -> None:
    assert as_stages(["owner"]) == (Stage(Approvers("owner"), quorum=1),)


def test_nothing_stored_means_security() -> None:
    assert approvers_of({}) == BY_SECURITY
