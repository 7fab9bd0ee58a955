"""The one exception type for input that a user can mend."""


class InputError(ValueError):
    """A file, argument or config entry that is not what was expected.

    The message is one line that names the file or argument, what was expected and what to do.
    The command-line tools print it without a traceback (set ``MSPOSE_TRACEBACK=1`` to see one).
    """
