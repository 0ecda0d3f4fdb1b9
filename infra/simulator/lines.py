"""What the simulated contact centre is: its lines, queues, menus and wrap codes, and how its callers behave.

Every number here is an assumption about traffic, chosen to be plausible; none comes from a real centre. This
module holds facts alone and draws nothing at random.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of business.

    Attributes:
        name: Its code.
        dialled_number: E.164 number that callers dial.
        share: Share of all calls.
        talk_seconds: Median time with a 1st-line agent, holds included.
        self_served: Share of calls in opening hours that the menu answers.
        to_2nd_line: Share of answered calls that the 1st line passes to the 2nd.
        week: Relative volume from Monday to Sunday.
    """

    name: str
    dialled_number: str
    share: float
    talk_seconds: float
    self_served: float
    to_2nd_line: float
    week: tuple[float, ...]

    @property
    def general_queue(self) -> str:
        """Code of the 1st-line queue."""
        return f"{self.name}_GENERAL"

    @property
    def second_queue(self) -> str:
        """Code of the 2nd-line queue."""
        return f"{self.name}_2ND"


_SEVEN_DAYS = (1.30, 1.12, 1.04, 1.00, 0.95, 0.48, 0.34)
_PVS_DAYS = (1.30, 1.10, 1.05, 1.00, 0.95, 0.40, 0.03)

LINES = (
    Line("PAL", "+441632960001", 0.66, 250, 0.19, 0.050, _SEVEN_DAYS),
    Line("ABI", "+441632960002", 0.22, 215, 0.15, 0.045, _SEVEN_DAYS),
    Line("DSLR", "+441632960003", 0.09, 290, 0.12, 0.070, _SEVEN_DAYS),
    Line("PVS", "+441632960004", 0.03, 180, 0.06, 0.040, _PVS_DAYS),
)

CSMT = "CSMT"
"""Queue of the 3rd line, which every line passes calls to."""


def line_of(queue: str) -> str:
    """Give the line whose opening hours a queue keeps; the 3rd line keeps its own."""
    return queue.partition("_")[0]


UNMAPPED_NUMBER = "+441632960099"
"""A number that rings at PAL and that no reference table knows."""
UNMAPPED_SHARE = 0.0002

TEST_NUMBER = "+441632960990"
TEST_SHARE = 0.004
WELSH_SHARE = 0.015
WITHHELD_SHARE = 0.05
ABROAD_SHARE = 0.04
RETURNING_SHARE = 0.24
"""Share of calls that come from somebody who called the same line in the last days."""

MENUS_IN_QUEUE = (
    ("existing_application", "speak_to_adviser"),
    ("existing_application", "application_status", "speak_to_adviser"),
    ("new_application", "speak_to_adviser"),
    ("new_application", "fees", "speak_to_adviser"),
    ("urgent", "speak_to_adviser"),
    ("something_else", "speak_to_adviser"),
)
MENUS_SELF_SERVED = (
    ("existing_application", "application_status", "status_given"),
    ("new_application", "how_to_apply", "text_message_link"),
    ("new_application", "fees", "fees_given"),
    ("something_else", "opening_hours", "opening_hours_given"),
)

REASON_CODES: dict[str, tuple[str, str, int]] = {
    "APP_STATUS": ("Progress of an application", "Existing application", 22),
    "APP_DELAY": ("Application later than expected", "Existing application", 9),
    "APP_CHANGE": ("Change or correct an application", "Existing application", 5),
    "APP_WITHDRAW": ("Withdraw an application", "Existing application", 1),
    "DOC_REQUEST": ("Documents asked for", "Documents", 7),
    "DOC_RETURN": ("Return of documents", "Documents", 5),
    "PHOTO": ("Photo rejected or how to take one", "Documents", 5),
    "REFEREE": ("Confirming identity, countersignature", "Documents", 4),
    "NEW_ADULT": ("How to apply: adult", "New application", 7),
    "NEW_CHILD": ("How to apply: child", "New application", 6),
    "RENEWAL": ("How to renew", "New application", 6),
    "NAME_CHANGE": ("Change of name or details", "New application", 3),
    "ELIGIBILITY": ("Entitlement and eligibility", "New application", 3),
    "OVERSEAS": ("Apply from abroad", "New application", 2),
    "APPOINTMENT": ("Book, move or cancel an appointment", "Urgent and appointments", 4),
    "URGENT_TRAVEL": ("Urgent travel", "Urgent and appointments", 4),
    "PAYMENT": ("Fees and payment", "Payment", 3),
    "REFUND": ("Refund", "Payment", 2),
    "LOST_STOLEN": ("Lost, stolen or found passport", "Passport", 3),
    "DAMAGED": ("Damaged or faulty passport", "Passport", 1),
    "DELIVERY": ("Delivery", "Passport", 4),
    "ONLINE_HELP": ("Help with the online service", "Support", 4),
    "COMPLAINT": ("Complaint", "Support", 2),
    "OTHER": ("Something else", "Support", 2),
}
"""Agreed wrap codes of channel voice: code -> description, category, relative frequency."""

UNKNOWN_CODES = ("LEGACY_17", "TEMP_BACKLOG")
"""Codes that agents now and then still pick and that no agreed list holds."""
