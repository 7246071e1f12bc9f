"""The two ways in which a command can be refused, each with an exit code of its own."""


class UsageError(Exception):
    """What was asked for does not exist or makes no sense: exit code 2."""


class CannotRun(Exception):  # noqa: N818 - what it says
    """What was asked for could not be done, through no fault of a server that is judged: exit code 3."""


class InterpreterError(CannotRun):
    """An interpreter that cannot run our servers: exit code 3."""


class LaunchError(CannotRun):
    """A server that did not start, or did not become ready: exit code 3."""


class ResultsError(CannotRun):
    """Results that cannot be read: exit code 3."""


class MeasureError(CannotRun):
    """A cell that could not be measured: exit code 3."""
