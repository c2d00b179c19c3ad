"""The epoch of a restored database lies above all that anybody has heard."""

import pytest

from regiohub_shared.db.epoch import LAST, STRIDE, TooManyEpochs, floor_of, next_epoch


@pytest.mark.parametrize(
    ("own", "heard", "epoch"),
    [(0, [], 1), (0, [7], 1), (0, [STRIDE], 2), (3, [STRIDE + 5], 4), (1, [5 * STRIDE + 9, 2], 6)],
)
def test_it_leads_our_own_and_every_heard_one(own: int, heard: list[int], epoch: int):
    assert next_epoch(own, heard) == epoch
    assert floor_of(epoch) > max(heard, default=0)


def test_every_version_fits_an_integer_column_and_a_calendar_s_sequence():
    assert floor_of(LAST) + STRIDE - 1 <= 2**31 - 1


def test_a_version_that_cannot_be_ours_is_refused():
    with pytest.raises(TooManyEpochs):
        next_epoch(0, [2**31 - 1])
