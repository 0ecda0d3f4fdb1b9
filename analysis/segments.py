"""Finds groups of customers who contact the Passport Office again and again in the same way (ACC074, ACC075).

Customers with at least two contacts in the last 28 days are described by a few features of their contacts, and grouped
by k-means (scikit-learn) on standardised features. The number of groups is the one that parts them best (silhouette).
The same contacts always give the same groups: rows are put in order and the seed is fixed. docs/how-to says how to read
them. This module reads `marts.fct_contacts` and writes the schema `analysis`; the marts show it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from infra.postgres import connect
from infra.settings import Settings

DAYS = 28
GROUPS = range(3, 8)
SEED = 1
_JUDGED_ON = 5_000  # customers that the silhouette is worked out on: it takes the square of their number

FEATURES = {
    "contacts": "contact more often than others",
    "hours_between": "come back after days rather than hours",
    "channels": "switch between channels",
    "unanswered_share": "do not get through and try again",
    "wait_seconds": "wait long",
    "transferred_share": "are passed on",
    "same_reason_share": "return about the same matter",
    "complaint": "complain",
}
"""Each feature, and what a group is called that stands out in it."""

_FEATURES_OF_CUSTOMERS = """
with contacts as (
    select *, lag(received_at) over (partition by customer_key order by received_at, contact_id) as previous_at
    from marts.fct_contacts
    where customer_key is not null and not is_test and direction = 'inbound'
        and received_at >= %(as_of)s - %(days)s * interval '24 hours' and received_at < %(as_of)s
),
reasons as (
    select customer_key, max(contacts) as most
    from (select customer_key, primary_reason_code, count(*) as contacts from contacts
          where primary_reason_code is not null group by 1, 2) as counted
    group by customer_key
)
select
    customer_key,
    count(*)::float8 as contacts,
    avg(extract(epoch from received_at - previous_at) / 3600)::float8 as hours_between,
    count(distinct channel)::float8 as channels,
    avg((not is_answered)::int)::float8 as unanswered_share,
    coalesce(avg(wait_seconds), 0)::float8 as wait_seconds,
    avg(is_transferred::int)::float8 as transferred_share,
    coalesce(max(reasons.most), 0)::float8 / count(*) as same_reason_share,
    bool_or(has_complaint or coalesce(is_complaint, false))::int::float8 as complaint
from contacts
left join reasons using (customer_key)
group by customer_key
having count(*) > 1
order by customer_key
"""


@dataclass(frozen=True)
class Segment:
    """One group of customers: its number and name, its size, and the mean of each feature over it."""

    segment: int
    name: str
    customers: int
    contacts: int
    profile: dict[str, float]


@dataclass(frozen=True)
class Segments:
    """The groups of one run, the largest first. `silhouette` says how well they part, from -1 to 1."""

    as_of: datetime
    customers: int
    silhouette: float
    segments: tuple[Segment, ...]

    def as_text(self) -> str:
        """The groups in plain English."""
        lines = [
            f"{self.customers:,} customers with at least two contacts in the {DAYS} days before "
            f"{self.as_of:%Y-%m-%d %H:%M} UTC, in {len(self.segments)} groups (silhouette {self.silhouette:.2f}):"
        ]
        for each in self.segments:
            profile = each.profile
            lines.append(
                f"  {each.segment}  {each.customers:>7,} customers, {each.contacts:>8,} contacts  They {each.name}."
            )
            lines.append(
                f"       {profile['contacts']:.1f} contacts each, {profile['hours_between']:.0f} hours between them, "
                f"{profile['channels']:.1f} channels, {profile['unanswered_share'] * 100:.0f} % unanswered, "
                f"{profile['same_reason_share'] * 100:.0f} % about one matter"
            )
        return "\n".join(lines)


def find_segments(settings: Settings) -> Segments:
    """Group the customers, and write the groups down in place of the last ones. One transaction.

    Args:
        settings: An instance whose marts are built.

    Raises:
        ValueError: There are too few customers to group.
    """
    with connect(settings) as connection:
        row = connection.execute(
            "select as_of from ops.builds where state = 'succeeded' order by build_id desc limit 1"
        ).fetchone()
        if row is None:
            raise ValueError("No build has succeeded yet. Run `contactbi build` first.")
        (as_of,) = row
        with connection.cursor(row_factory=dict_row) as cursor:
            customers = cursor.execute(_FEATURES_OF_CUSTOMERS, {"as_of": as_of, "days": DAYS}).fetchall()
        if len(customers) < 10 * max(GROUPS):
            raise ValueError(
                f"Only {len(customers)} customers had two contacts in the last {DAYS} days: too few to group."
            )
        labels, silhouette = _grouped(customers)
        found = Segments(as_of, len(customers), silhouette, _described(customers, labels))
        _write(connection, found, customers, labels)
    return found


def _grouped(customers: list[dict[str, Any]]) -> tuple[NDArray[np.int_], float]:
    """A group for each customer, numbered from 1 with the largest first, and the silhouette."""
    raw = np.array([[customer[name] for name in FEATURES] for customer in customers])
    # Counts and durations have long tails, in which a few customers would make groups of their own.
    points = StandardScaler().fit_transform(np.log1p(raw))
    judged = np.random.default_rng(SEED).permutation(len(points))[:_JUDGED_ON]
    best: tuple[float, NDArray[np.int_]] | None = None
    for groups in GROUPS:
        labels = KMeans(groups, n_init=5, random_state=SEED).fit_predict(points)
        score = float(silhouette_score(points[judged], labels[judged]))
        if best is None or score > best[0]:
            best = score, labels
    assert best is not None  # noqa: S101  # GROUPS is not empty
    by_size = np.argsort(-np.bincount(best[1]), kind="stable")
    return np.argsort(by_size)[best[1]] + 1, best[0]


def _described(customers: list[dict[str, Any]], labels: NDArray[np.int_]) -> tuple[Segment, ...]:
    """Each group with its profile, called after the feature that it stands out in most and no other group has."""
    raw = np.array([[customer[name] for name in FEATURES] for customer in customers])
    points = StandardScaler().fit_transform(np.log1p(raw))
    numbers = range(1, int(labels.max()) + 1)
    outstanding = np.array([points[labels == number].mean(axis=0) for number in numbers])
    names: dict[int, str] = {}
    features = list(FEATURES)
    for place in np.argsort(-outstanding, axis=None, kind="stable"):
        group, feature = divmod(int(place), len(features))
        if group + 1 not in names and FEATURES[features[feature]] not in names.values():
            names[group + 1] = FEATURES[features[feature]]
    return tuple(
        Segment(
            number,
            names[number],
            int((labels == number).sum()),
            int(raw[labels == number, 0].sum()),
            dict(zip(features, map(float, raw[labels == number].mean(axis=0)), strict=True)),
        )
        for number in numbers
    )


def _write(
    connection: psycopg.Connection,
    found: Segments,
    customers: list[dict[str, Any]],
    labels: NDArray[np.int_],
) -> None:
    row = connection.execute(
        "insert into analysis.segment_runs (as_of, days, customers, silhouette) values (%s, %s, %s, %s) "
        "returning run_id",
        (found.as_of, DAYS, found.customers, found.silhouette),
    ).fetchone()
    assert row is not None  # noqa: S101  # the statement returns what it inserts
    (run_id,) = row
    for each in found.segments:
        connection.execute(
            "insert into analysis.segments values (%s, %s, %s, %s, %s, %s)",
            (run_id, each.segment, each.name, each.customers, each.contacts, Jsonb(each.profile)),
        )
    connection.execute("delete from analysis.customer_segments")
    with connection.cursor().copy(
        "copy analysis.customer_segments (run_id, customer_key, segment, features) from stdin"
    ) as copy:
        for customer, label in zip(customers, labels, strict=True):
            features = json.dumps({name: customer[name] for name in FEATURES})
            copy.write_row((run_id, customer["customer_key"], int(label), features))
