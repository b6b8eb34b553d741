"""A worker that hears nothing although the broker answers starts anew; one that is busy or cut off does not."""

import pytest

from governance.config.watchdog import SILENCE_SECONDS, Hearing


@pytest.mark.parametrize(
    ("silent_for", "busy", "broker_answers", "deaf"),
    [
        (SILENCE_SECONDS + 1, False, True, True),
        (SILENCE_SECONDS - 1, False, True, False),
        (SILENCE_SECONDS + 1, True, True, False),
        (SILENCE_SECONDS + 1, False, False, False),
    ],
    ids=["deaf", "a moment of silence", "busy with a long task", "the broker is away"],
)
def test_silence_is_deafness_only_when_there_is_something_to_hear(
    silent_for: float, busy: bool, broker_answers: bool, deaf: bool
) -> None:
    hearing = Hearing(heard_at=100.0)

    assert hearing.is_deaf(100.0 + silent_for, busy=busy, broker_answers=broker_answers) is deaf
