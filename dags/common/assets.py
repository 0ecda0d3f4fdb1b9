"""The assets that join one DAG to the next. An event is only a bell: what to do is read from the ledger.

Addresses carry no host, because where the warehouse stands is a setting and no part of what the data is.
"""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from dags.common.triggers import FilesPending

TELEPHONY_CALL_FILES = Asset(
    name="inbound.telephony_call",
    uri="x-inbound://telephony_call",
    group="inbound",
    watchers=[AssetWatcher(name="telephony_call_files", trigger=FilesPending("telephony_call"))],
)
"""Files of telephony_call that wait to be loaded."""

RAW_TELEPHONY_CALL = Asset(name="raw.telephony_call", uri="x-warehouse://raw/telephony_call", group="raw")
"""Rows of raw.telephony_call, after the raw gate."""

MARTS = Asset(name="marts", uri="x-warehouse://marts", group="marts")
"""All marts of one build, after the release gate."""
