"""The raw gate: what must hold for each batch of loaded files before figures are made of it.

Row by row, the loader has refused what breaks the interface already. The gate looks at what no row shows: rows that got
lost or doubled on the way, columns that changed, values that became rare or common overnight. Most of it follows from
the contract of the interface; `interfaces/` adds what is expected of each.

In the queries, the relation `batch` is the files to look at, one row each, as in `ops.files`; `its` is the raw table.
"""

# ruff: noqa: S608  # the queries are made of texts of ours

from __future__ import annotations

from collections.abc import Iterator

from expectations.checks import Aspect, Check, Severity
from expectations.contracts import Contract, quoted, read_contract
from expectations.suites import Limit, Suite, read_suite

ENOUGH_ROWS = 100
"""Shares of fewer rows than this say nothing."""


def raw_checks(interface: str) -> list[Check]:
    """The checks of an interface, in the order in which a reader wants to hear of them."""
    checks = _Checks(read_contract(interface), read_suite(interface))
    return [
        checks.schema(),
        *checks.volume(),
        *checks.extract(),
        *checks.missingness(),
        *checks.values(),
        *checks.limits(),
        *checks.known(),
        checks.refused(),
        *checks.freshness(),
    ]


class _Checks:
    """Makes the checks of one interface."""

    def __init__(self, contract: Contract, suite: Suite) -> None:
        self.contract = contract
        self.suite = suite
        self.table = contract.raw_table
        self.rows = f"from batch as files inner join {self.table} as its on its._file_id = files.file_id"

    def schema(self) -> Check:
        columns = ", ".join(
            f"({quoted(name)}, {quoted(kind)})" for name, kind in self.contract.columns.items()
        )
        return Check(
            "schema",
            "The raw table has every column of the contract, with its type.",
            f"""
            select null::bigint as batch_id, expected.name || ' should be ' || expected.type || ' and is '
                || coalesce(format_type(actual.atttypid, null), 'missing') as detail
            from (values {columns}) as expected (name, type)
            left join pg_attribute as actual
                on actual.attrelid = to_regclass('{self.table}') and actual.attname = expected.name
                and not actual.attisdropped
            where actual.atttypid is distinct from expected.type::regtype::oid
            """,
        )

    def volume(self) -> Iterator[Check]:
        yield Check(
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
        )
        yield Check(
            "volume",
            "The raw table holds as many rows of each file as were loaded from it.",
            f"""
            select batch_id, name || ' should have ' || stands || ' rows and has ' || held as detail
            from (
                select files.*, rows_before + rows_loaded as stands, {self._held()} as held
                from batch as files
            ) as counted
            where held <> stands
            """,
        )
        yield Check(
            "volume",
            "Each row that was refused is in quarantine.rows.",
            """
            select batch_id, name || ' should have ' || rows_quarantined || ' rows there and has ' || held as detail
            from (
                select files.*, (select count(*) from quarantine.rows where rows.file_id = files.file_id
                    and rows.call_id is null) as held
                from batch as files where state = 'loaded'
            ) as counted
            where held < rows_quarantined
            """,
        )
        if self.suite.kept_as_sent:
            yield Check(
                "volume",
                "Every call that was put together from records of a platform keeps to the contract.",
                """
                select batch_id, name || ' led to ' || calls_refused || ' that do not' as detail
                from batch where calls_refused > 0
                """,
                severity="warning",
            )
        yield Check(
            "volume",
            "A batch brings rows.",
            """
            select batch_id, count(*) || ' files, the first ' || min(name) || ', hold no row' as detail
            from batch where state = 'loaded'
            group by batch_id having sum(rows_loaded + rows_unchanged) = 0
            """,
            severity="warning",
        )
        yield Check(
            "volume",
            "No extract is held." if self.contract.is_extract else "No file is quarantined as a whole.",
            "select batch_id, name || ': ' || error as detail from batch where state = 'quarantined'",
            severity="warning",
        )

    def extract(self) -> Iterator[Check]:
        """A full extract replaces the one before: what is current must be exactly what the newest one said."""
        if not self.contract.is_extract:
            return
        current = f"""
            (select * from batch where state = 'loaded' and file_id = (
                select file_id from ops.files as newest
                where newest.interface = {quoted(self.contract.interface)} and newest.state = 'loaded'
                order by file_stamp desc nulls last, file_sequence desc nulls last, file_id desc limit 1
            ))"""
        tables = {"The current rows are those of the newest extract, no more and no fewer.": self.table}
        if self.contract.serving_table:
            tables["The table in the clear holds exactly the newest extract."] = self.contract.serving_table
        for sentence, table in tables.items():
            which = " where _until_position is null" if table == self.table else ""
            yield Check(
                "volume",
                sentence,
                f"""
                select batch_id, name || ' has ' || stands || ' rows that stand and {table} has ' || held as detail
                from (
                    select
                        files.batch_id, files.name, files.rows_read - files.rows_quarantined as stands,
                        (select count(*) from {table}{which}) as held
                    from {current} as files
                ) as counted
                where held <> stands
                """,
            )

    def missingness(self) -> Iterator[Check]:
        empty = [*(name for name in self.contract.key if self.contract.columns[name] == "text")]
        empty += [name for name in self.suite.never_empty if name not in empty]
        conditions = [f"its.{name} is null" for name in self.contract.never_null]
        conditions += [f"its.{name} = ''" for name in empty]
        yield self._rows_where(
            f"Fields that every {self.suite.one} must have are there.", "missingness", " or ".join(conditions)
        )
        for name in self.contract.keyed:
            yield self._rows_where(
                f"{self.suite.one.capitalize()} by {self.suite.one}, there is a {name} or the reason why not.",
                "missingness",
                f"(its.{name} is null) = (its.{name}_missing_reason is null)",
            )

    def values(self) -> Iterator[Check]:
        if self.contract.values:
            yield self._rows_where(
                "Values are those that the contract lists.", "distribution", " or ".join(self.contract.values)
            )
        for rule in self.contract.rules:
            yield self._rows_where(rule.sentence, "distribution", rule.broken)

    def limits(self) -> Iterator[Check]:
        for limit in self.suite.limits:
            if limit.at_most:
                yield self._at_most(limit)
            else:
                among = f"({limit.among}) and " if limit.among else ""
                yield self._rows_where(
                    limit.sentence, limit.aspect, f"{among}({limit.where})", limit.severity
                )

    def known(self) -> Iterator[Check]:
        for known in self.suite.known:
            yield self._at_most(
                Limit(
                    f"At most {known.at_most:.0%} of the {self.suite.many} of a batch break this: {known.sentence}",
                    "distribution",
                    "failure",
                    f"not {known.is_known}",
                    known.at_most,
                    f"{known.value} is not null",
                )
            )
            yield Check(
                "distribution",
                known.sentence,
                f"""
                select files.batch_id, {known.value} || ' has ' || count(*) || ' {self.suite.many}' as detail
                {self.rows}
                where {known.value} is not null and not {known.is_known}
                group by files.batch_id, {known.value}
                """,
                severity="warning",
            )

    def refused(self) -> Check:
        return Check(
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
        )

    def freshness(self) -> Iterator[Check]:
        minutes = self.contract.freshness_minutes
        if minutes is not None:
            yield Check(
                "freshness",
                f"A file is loaded within {minutes} minutes of the time in its name.",
                f"""
                select
                    batch_id,
                    name || ' was loaded at ' || to_char(finished_at, 'YYYY-MM-DD HH24:MI') || ' UTC' as detail
                from batch
                where state = 'loaded' and finished_at > file_stamp + interval '{minutes} minutes'
                """,
                severity="warning",
            )

    def _held(self) -> str:
        """How many rows raw holds of a file. Of a platform in `kept_as_sent` these are its records, not the calls."""
        held = f"(select count(*) from {self.table} where _file_id = files.file_id)"
        if not self.suite.kept_as_sent:
            return held
        platforms = ", ".join(map(quoted, self.suite.kept_as_sent))
        records = "(select count(*) from raw.platform_record where _file_id = files.file_id)"
        return f"case when files.platform in ({platforms}) then {records} else {held} end"

    def _rows_where(
        self, sentence: str, aspect: Aspect, condition: str, severity: Severity = "failure"
    ) -> Check:
        """No row meets a condition; if some do, how many of each file, and the first of them with their lines."""
        key = " || ' ' || ".join(f"coalesce(its.{name}::text, '?')" for name in self._shown_key())
        return Check(
            aspect,
            sentence,
            f"""
            select
                files.batch_id,
                files.name || ': ' || count(*) || ' {self.suite.many}, such as ' || array_to_string((array_agg(
                    {key} || ' (line ' || its._line_number || ')' order by its._line_number
                ))[1:20], ', ') as detail
            {self.rows}
            where {condition}
            group by files.batch_id, files.file_id, files.name
            """,
            severity,
        )

    def _at_most(self, limit: Limit) -> Check:
        """At most a share of the rows of a batch meets a condition."""
        among = f"where {limit.among}" if limit.among else ""
        return Check(
            limit.aspect,
            limit.sentence,
            f"""
            select
                batch_id,
                found || ' of ' || total || ' {self.suite.many}, the first in ' || first_file as detail
            from (
                select
                    files.batch_id, count(*) as total, count(*) filter (where {limit.where}) as found,
                    min(files.name) filter (where {limit.where}) as first_file
                {self.rows}
                {among}
                group by files.batch_id
            ) as counted
            where total >= {ENOUGH_ROWS} and found > {limit.at_most} * total
            """,
            limit.severity,
        )

    def _shown_key(self) -> tuple[str, ...]:
        return tuple(name for name in self.contract.key if name != "record_version")
