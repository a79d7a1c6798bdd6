"""The closed set of errors."""

import pickle

import pytest

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown


@pytest.mark.parametrize(
    "error", [Rejected("a_code", "field"), Unavailable("a_code"), Unknown("a_code"), RateLimited(2.5)]
)
def test_every_error_is_of_the_set_says_its_code_alone_and_crosses_processes(error: TreumError) -> None:
    assert isinstance(error, TreumError)
    assert str(error) == error.code
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
