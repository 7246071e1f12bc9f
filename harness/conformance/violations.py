"""What a case raises: a broken promise, a stale claim, or that it does not apply."""


class Violation(AssertionError):  # noqa: N818 - it is a finding
    """A clause does not hold; the message says what was sent, expected and received."""


class StaleClaim(AssertionError):  # noqa: N818 - it is a finding
    """A capability that the server disclaims was observed."""


class NotApplicable(Exception):  # noqa: N818 - it is no error
    """The case needs what this server, as given, does not offer."""
