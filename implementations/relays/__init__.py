"""How a handler asks another calculator, and waits: the same pool of connections, as each model would write it.

What they share: `session` knows what is said over one connection (sans I/O), `links` which connections are used again.
In reading order, each with what it can wait for, and who is next:

    threads      whoever asks, blocks: blocking, threaded, thread_pool, processes
    greenlets    the same on gevent's locks and sockets: gevent_greenlets
    generators   whoever asks, yields what it waits for: select_generators
    callbacks    the same, taken apart into steps: selectors_callbacks
    futures      callbacks below, a future above: asyncio_streams, asyncio_protocol
    drivers      what these may ask through besides: a driver that blocks, in a thread, or in the loop
    tasks        a scope around the whole wait: trio_nursery
"""
