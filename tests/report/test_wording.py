"""How figures and names are put into words."""

from harness.report.wording import servers_counted


def test_a_server_counts_once_however_it_was_run() -> None:
    assert servers_counted(["threaded"]) == "1 server"
    assert servers_counted(["threaded", "asyncio_streams", "asyncio_streams+uvloop"]) == "3 servers"
    ways = ["threaded", "threaded+free", "threaded+free+fresh", "threaded@3.13.5t", "threaded@3.13.5t+free"]
    assert servers_counted([*ways, "asyncio_streams"]) == "2 servers (run in 6 ways)"
    of_a_variant = [
        "asyncio_streams+uvloop",
        "asyncio_streams+uvloop+free",
        "asyncio_streams@3.13.5+uvloop+free",
    ]
    assert servers_counted(of_a_variant) == "1 server (run in 3 ways)"
