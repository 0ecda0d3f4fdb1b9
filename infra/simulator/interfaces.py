"""What each interface looks like from outside: its fields, and which of them a damaged row may be damaged in.

Written from the description of the interfaces alone. It holds facts about the files, draws nothing, and must
not be read from, or shared with, the contracts of the product.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Interface:
    """One inbound interface other than the calls.

    Attributes:
        name: Its name, with which its files begin.
        fields: Its fields in order; the header of a CSV file.
        required: Fields that are never empty.
        timestamps: Fields that hold a timestamp in every row.
        dates: Fields that hold a date in every row.
        numbers: Fields that hold a whole number in every row.
        flags: Fields that hold true or false in every row.
        lists: Fields that hold a list in every row.
        choices: Fields that hold one of a few values, and are never empty.
        is_csv: It comes as CSV, not as JSON Lines.
        is_daily: Its files close at local midnight, not every two hours.
        is_snapshot: Each file is whole in itself: no row comes late or twice.
        bad_rows: Bad rows there are for each bad row of another interface.
    """

    name: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    timestamps: tuple[str, ...]
    dates: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    is_csv: bool = False
    is_daily: bool = False
    is_snapshot: bool = False
    bad_rows: float = field(default=1.0)

    @property
    def suffix(self) -> str:
        """How the name of a file ends."""
        return ".csv.gz" if self.is_csv else ".jsonl.gz"


CALLBACK_EVENT = Interface(
    "callback_event",
    fields=(
        "event_id", "callback_id", "call_id", "channel", "dialled_number",
        "event", "occurred_at", "outcome", "agent_id", "reason_codes",
    ),
    required=("event_id", "callback_id", "channel", "dialled_number", "event", "occurred_at"),
    timestamps=("occurred_at",),
    lists=("reason_codes",),
    choices=("channel", "event"),
)  # fmt: skip
AGENT_STATE = Interface(
    "agent_state",
    fields=("event_id", "agent_id", "line_of_business", "state", "since", "channel"),
    required=("event_id", "agent_id", "state", "since"),
    timestamps=("since",),
    lists=("line_of_business",),
    choices=("state",),
)
QUEUE_SNAPSHOT = Interface(
    "queue_snapshot",
    fields=(
        "snapshot_at", "queue", "contacts_waiting", "oldest_waiting_since",
        "agents_available", "agents_in_call", "agents_wrap_up", "agents_staffed",
    ),
    required=("snapshot_at", "queue", "contacts_waiting"),
    timestamps=("snapshot_at",),
    numbers=("contacts_waiting", "agents_available", "agents_in_call", "agents_wrap_up", "agents_staffed"),
)  # fmt: skip
WEBCHAT_SESSION = Interface(
    "webchat_session",
    fields=(
        "chat_id", "record_version", "emitted_at", "customer_id", "line_of_business", "language",
        "entry_page", "started_at", "queued_at", "accepted_at", "first_response_at", "ended_at",
        "end_reason", "transfer_to", "agent_id", "reason_codes", "messages_customer", "messages_agent",
        "transcript",
    ),
    required=("chat_id", "record_version", "emitted_at", "started_at"),
    timestamps=("emitted_at", "started_at"),
    numbers=("record_version", "messages_customer", "messages_agent"),
    lists=("reason_codes", "transcript"),
    choices=("language",),
)  # fmt: skip
EMAIL_MESSAGE = Interface(
    "email_message",
    fields=(
        "message_id", "record_version", "emitted_at", "thread_id", "direction", "mailbox",
        "line_of_business", "from_address", "received_at", "replied_at", "agent_id", "reason_codes",
        "transferred_to", "transferred_at", "is_complaint", "is_callback_request",
    ),
    required=("message_id", "record_version", "emitted_at", "direction", "received_at"),
    timestamps=("emitted_at", "received_at"),
    numbers=("record_version",),
    flags=("is_complaint", "is_callback_request"),
    lists=("reason_codes",),
    choices=("direction",),
)  # fmt: skip
TEXT_MESSAGE = Interface(
    "text_message",
    fields=(
        "message_id", "direction", "template_code", "to_or_from", "sent_at", "delivered_at", "status",
        "related_call_id", "reason_codes",
    ),
    required=("message_id", "direction", "sent_at"),
    timestamps=("sent_at",),
    lists=("reason_codes",),
)  # fmt: skip
WIP_EXTRACT = Interface(
    "wip_extract",
    fields=(
        "application_ref", "surname", "date_of_birth", "postcode", "application_type", "channel",
        "service", "region", "country", "received_at", "stage", "stage_entered_at", "expected_by",
        "delivery_partner_ref", "csmt_owned", "last_updated_at",
    ),
    required=("application_ref", "received_at", "stage"),
    timestamps=("received_at", "stage_entered_at", "last_updated_at"),
    dates=("date_of_birth",),
    choices=("channel", "service", "region", "csmt_owned"),
    is_csv=True,
    is_snapshot=True,
    bad_rows=0.05,
)  # fmt: skip
COMPLAINT = Interface(
    "complaint",
    fields=(
        "complaint_id", "received_at", "channel", "contact_id", "line_of_business", "category_code",
        "summary_code", "escalated_to_csmt_at", "resolved_at", "outcome",
    ),
    required=("complaint_id", "received_at"),
    timestamps=("received_at",),
    is_csv=True,
    is_daily=True,
)  # fmt: skip
PAYMENT_CONFIRMATION = Interface(
    "payment_confirmation",
    fields=(
        "payment_ref", "taken_at", "amount_pence", "currency", "method", "status", "application_ref",
        "contact_id", "reason",
    ),
    required=("payment_ref", "taken_at", "amount_pence"),
    timestamps=("taken_at",),
    numbers=("amount_pence",),
    is_csv=True,
    is_daily=True,
)  # fmt: skip

TELEPHONY_CALL = "telephony_call"
INTERFACES = {
    interface.name: interface
    for interface in (
        CALLBACK_EVENT,
        AGENT_STATE,
        QUEUE_SNAPSHOT,
        WEBCHAT_SESSION,
        EMAIL_MESSAGE,
        TEXT_MESSAGE,
        WIP_EXTRACT,
        COMPLAINT,
        PAYMENT_CONFIRMATION,
    )
}
"""Every inbound interface other than the calls, by name."""
EVERY_INTERFACE = (TELEPHONY_CALL, *INTERFACES)
