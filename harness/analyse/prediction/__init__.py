"""What a relay will do, from a few cells and the operational laws; and whether it came true. Pure.

In reading order: `laws` hold whatever goes on inside a relay; `mva` tells what follows where requests queue for its core; `cost`
is what a request costs there, which depends on the load; `queue` plays all this on a virtual clock, for quantiles. `cells` are
what was measured, `fitting` makes a model of them, `relay` predicts, and `held_out` puts it to the test.
"""
