"""Failures that need a person, told so that the call for help says all that is needed."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException


class NeedsPersonError(AirflowFailException):
    """A task fails, and to try again would change nothing.

    Args:
        message: What happened, and what to do, for the task's log.
        event: What happened, in one word for programs, such as `file_held`.
        facts: What the call for help adds. It must hold no personal data.
    """

    def __init__(self, message: str, event: str, **facts: object) -> None:
        super().__init__(message)
        self.alert = {"event": event, **facts}
