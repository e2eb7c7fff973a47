"""What a command can fail with; `exit_code` is what the shell sees."""

from __future__ import annotations


class CommandError(Exception):
    """The command failed for a reason its message explains."""

    exit_code = 1


class UsageError(CommandError):
    """The command was called in a way it does not understand."""

    exit_code = 2
