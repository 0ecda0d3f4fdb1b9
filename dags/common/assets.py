"""The assets that join one DAG to the next. An event is only a bell: what to do is read from the ledger.

Addresses carry no host, because where the warehouse stands is a setting and no part of what the data is.
"""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from dags.common.triggers import FilesPending

INTERFACES = (
    "agent_state",
    "callback_event",
    "complaint",
    "email_message",
    "payment_confirmation",
    "queue_snapshot",
    "telephony_call",
    "text_message",
    "webchat_session",
    "wip_extract",
)
"""Every interface that has a contract. Written down here, because to parse a DAG must read no other file."""

INBOUND_FILES = {
    interface: Asset(
        name=f"inbound.{interface}",
        uri=f"x-inbound://{interface}",
        group="inbound",
        watchers=[AssetWatcher(name=f"{interface}_files", trigger=FilesPending(interface))],
    )
    for interface in INTERFACES
}
"""By interface: its files that wait to be loaded."""

RAW_ROWS = {
    interface: Asset(name=f"raw.{interface}", uri=f"x-warehouse://raw/{interface}", group="raw")
    for interface in INTERFACES
}
"""By interface: the rows of its raw table, after the raw gate."""

MARTS = Asset(name="marts", uri="x-warehouse://marts", group="marts")
"""All marts of one build, after the release gate."""
