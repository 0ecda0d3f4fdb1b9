"""The raw gate: what must hold for each batch of loaded files before figures are made of it.

Row by row, the loader has refused what breaks the interface already. The gate looks at what no row shows:
rows that got lost or doubled on the way, columns that changed, values that became rare or common overnight.
The relation `batch` is the files to look at, one row each, as in `ops.files`.
"""

# ruff: noqa: S608  # the queries are made of texts of ours

from __future__ import annotations

import csv

import yaml

from expectations.checks import Check
from infra.settings import CHECKOUT

_CONTRACT = CHECKOUT / "ingestion" / "contracts" / "telephony_call.odcs.yaml"
_DIALLED_NUMBERS = CHECKOUT / "dbt" / "seeds" / "dialled_numbers.csv"

ENOUGH_ROWS = 100
"""Shares of fewer rows than this say nothing."""

_TYPES = {
    "string": "text",
    "integer": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "array": "jsonb",
    "object": "jsonb",
}
_LEDGER_COLUMNS = {
    "_file_id": "bigint",
    "_line_number": "bigint",
    "_batch_id": "bigint",
    "_record_hash": "uuid",
}

_CALLS = "from batch as files inner join raw.telephony_call as calls on calls._file_id = files.file_id"


def raw_checks() -> list[Check]:
    """The checks, in the order in which a reader wants to hear of them."""
    is_mapped = _is_mapped()
    return [
        Check(
            "schema",
            "The raw table has every column of the contract, with its type.",
            f"""
            select null::bigint as batch_id, expected.name || ' should be ' || expected.type || ' and is '
                || coalesce(format_type(actual.atttypid, null), 'missing') as detail
            from (values {_columns()}) as expected (name, type)
            left join pg_attribute as actual
                on actual.attrelid = to_regclass('raw.telephony_call') and actual.attname = expected.name
                and not actual.attisdropped
            where actual.atttypid is distinct from expected.type::regtype::oid
            """,
        ),
        Check(
            "volume",
            "Rows read are rows loaded, unchanged and quarantined, file by file.",
            """
            select
                batch_id,
                name || ' has ' || coalesce(rows_read::text, 'no number of') || ' rows read and '
                || coalesce((rows_loaded + rows_unchanged + rows_quarantined)::text, 'no number of')
                || ' accounted for' as detail
            from batch
            where rows_read is distinct from rows_loaded + rows_unchanged + rows_quarantined
            """,
        ),
        Check(
            "volume",
            "The raw table holds as many rows of each file as were loaded from it.",
            """
            select batch_id, name || ' should have ' || rows_loaded || ' rows and has ' || held as detail
            from (
                select files.*, (select count(*) from raw.telephony_call where _file_id = files.file_id) as held
                from batch as files
            ) as counted
            where held <> rows_loaded
            """,
        ),
        Check(
            "volume",
            "Each row that was refused is in quarantine.rows.",
            """
            select batch_id, name || ' should have ' || rows_quarantined || ' rows there and has ' || held as detail
            from (
                select files.*, (select count(*) from quarantine.rows where rows.file_id = files.file_id) as held
                from batch as files where state = 'loaded'
            ) as counted
            where held < rows_quarantined
            """,
        ),
        Check(
            "volume",
            "A batch brings rows.",
            """
            select batch_id, count(*) || ' files, the first ' || min(name) || ', hold no row' as detail
            from batch where state = 'loaded'
            group by batch_id having sum(rows_loaded + rows_unchanged) = 0
            """,
            severity="warning",
        ),
        Check(
            "volume",
            "No file is quarantined as a whole.",
            "select batch_id, name || ': ' || error as detail from batch where state = 'quarantined'",
            severity="warning",
        ),
        Check(
            "missingness",
            "Fields that every call must have are there.",
            _calls_where(
                " or ".join(f"calls.{name} is null" for name in _required_columns())
                + " or calls.call_id = '' or calls.dialled_number = ''"
            ),
        ),
        Check(
            "missingness",
            "A call has a caller key or the reason why not.",
            _calls_where("(calls.caller_key is null) = (calls.caller_key_missing_reason is null)"),
        ),
        Check(
            "missingness",
            "At most half of the calls of a batch are without a caller key.",
            f"""
            select batch_id, missing || ' of ' || total || ' calls are without a caller key' as detail
            from (
                select files.batch_id, count(*) as total, count(*) - count(calls.caller_key) as missing
                {_CALLS}
                group by files.batch_id
            ) as counted
            where total >= {ENOUGH_ROWS} and missing > 0.5 * total
            """,
            severity="warning",
        ),
        Check(
            "distribution",
            "Values are those that the contract lists.",
            _calls_where(
                "calls.ivr_outcome not in ('queued', 'self_served', 'abandoned', 'forced_disconnect') "
                "or calls.language not in ('en', 'cy') or calls.record_version < 1 "
                "or jsonb_typeof(calls.legs) <> 'array'"
            ),
        ),
        Check(
            "distribution",
            "A call has legs exactly if the IVR queued it.",
            _calls_where("(calls.ivr_outcome = 'queued') = (calls.legs = '[]'::jsonb)"),
        ),
        Check(
            "distribution",
            "At most half of the calls of a batch were made to numbers of no line of business.",
            f"""
            select batch_id, unmapped || ' of ' || total || ' calls were made to numbers of no line' as detail
            from (
                select files.batch_id, count(*) as total, count(*) filter (where not {is_mapped}) as unmapped
                {_CALLS}
                group by files.batch_id
            ) as counted
            where total >= {ENOUGH_ROWS} and unmapped > 0.5 * total
            """,
        ),
        Check(
            "distribution",
            "Every dialled number belongs to a line of business.",
            f"""
            select files.batch_id, calls.dialled_number || ' has ' || count(*) || ' calls' as detail
            {_CALLS}
            where not {is_mapped}
            group by files.batch_id, calls.dialled_number
            """,
            severity="warning",
        ),
        Check(
            "distribution",
            "At most one row in a hundred of a batch is quarantined.",
            f"""
            select batch_id, sum(rows_quarantined) || ' of ' || sum(rows_read) || ' rows are quarantined' as detail
            from batch
            where state = 'loaded'
            group by batch_id
            having sum(rows_read) >= {ENOUGH_ROWS} and sum(rows_quarantined) > 0.01 * sum(rows_read)
            """,
            severity="warning",
        ),
        Check(
            "freshness",
            "A call is sent after it was received, and within 31 days.",
            _calls_where(
                "calls.emitted_at < calls.received_at - interval '10 minutes' "
                "or calls.emitted_at > calls.received_at + interval '31 days'"
            ),
            severity="warning",
        ),
    ]


def _calls_where(condition: str) -> str:
    """The calls that meet a condition, per file: how many, and the first of them with their lines."""
    return f"""
        select
            files.batch_id,
            files.name || ': ' || count(*) || ' calls, such as ' || array_to_string((array_agg(
                coalesce(calls.call_id, '?') || ' (line ' || calls._line_number || ')' order by calls._line_number
            ))[1:20], ', ') as detail
        {_CALLS}
        where {condition}
        group by files.batch_id, files.file_id, files.name
    """


def _is_mapped() -> str:
    """Whether a call's number belonged to a line of business on the local date of the call, as an SQL expression."""
    periods: dict[str, list[str]] = {}
    with _DIALLED_NUMBERS.open(encoding="utf-8", newline="") as file:
        for each in csv.DictReader(file):
            start, end = (
                f"date {_quoted(day)}::timestamp at time zone 'Europe/London'"
                for day in (each["valid_from"], each["valid_to"] or "9999-12-31")
            )
            period = f"(calls.received_at >= {start} and calls.received_at < {end})"
            periods.setdefault(each["dialled_number"], []).append(period)
    cases = (f"when {_quoted(number)} then {' or '.join(each)}" for number, each in periods.items())
    return f"(case calls.dialled_number {' '.join(cases)} else false end)"


def _required_columns() -> list[str]:
    return [*(each["name"] for each in _properties() if each.get("required")), "is_test", "language"]


def _columns() -> str:
    columns = {
        each["name"]: _TYPES[each["logicalType"]]
        for each in _properties()
        if each.get("classification") != "personal"
    }
    columns |= {"caller_key": "text", "caller_key_missing_reason": "text", **_LEDGER_COLUMNS}
    return ", ".join(f"({_quoted(name)}, {_quoted(kind)})" for name, kind in columns.items())


def _properties() -> list[dict[str, str]]:
    contract = yaml.safe_load(_CONTRACT.read_text(encoding="utf-8"))
    properties: list[dict[str, str]] = contract["schema"][0]["properties"]
    return properties


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
