"""The exception for mistakes that a user can correct."""


class PoseActError(Exception):
    """Bad input. The message is one sentence: what was given, what was expected, what to do.

    The command line prints it without a traceback and exits with code 2.
    """
