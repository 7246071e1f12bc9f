"""A process that does nothing but work."""

import os
from contextlib import suppress

import psutil
import pytest

from harness.machine.processes import cpu_ns_of
from harness.machine.spinning import spinning


def test_it_works_on_the_cores_that_it_was_given_and_no_longer_than_it_is_wanted() -> None:
    core = min(os.sched_getaffinity(0))
    with suppress(ZeroDivisionError), spinning([core]) as pid:
        assert os.sched_getaffinity(pid) == {core}
        begun_ns = cpu_ns_of([pid])
        while cpu_ns_of([pid]) < begun_ns + 20e6:
            os.sched_yield()
        raise ZeroDivisionError
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(pid)
