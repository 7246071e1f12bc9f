"""The two ways in which a command can be refused, each with an exit code of its own."""


class UsageError(Exception):
    """What was asked for does not exist or makes no sense: exit code 2."""


class CannotRun(Exception):  # noqa: N818 - what it says
    """What was asked for could not be done, through no fault of a server that is judged: exit code 3."""
