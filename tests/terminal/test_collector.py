"""What the collector of cyclic garbage is kept away from, and what it is not."""

import gc
import weakref

import pytest

from cifar_tui.terminal.collector import collect_everything, gc_frozen


@pytest.fixture(autouse=True)
def collector_as_it_was():
    yield
    gc.unfreeze()
    assert gc.isenabled()


class Cycle:
    def __init__(self):
        self.own = self


def test_what_is_made_in_the_block_is_not_looked_at_again():
    with gc_frozen():
        assert not gc.isenabled()
        made = Cycle()
    assert gc.isenabled()
    assert not any(known is made for known in gc.get_objects())


def test_the_collector_is_back_after_an_error_and_stays_off_where_it_was_off():
    with pytest.raises(ValueError, match="in the block"), gc_frozen():
        raise ValueError("in the block")
    assert gc.isenabled()
    gc.disable()
    with gc_frozen():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_what_was_kept_and_is_not_needed_any_more_can_be_given_up():
    with gc_frozen():
        made = Cycle()
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is not None
    collect_everything()
    assert gone() is None
    assert gc.get_freeze_count() == 0
