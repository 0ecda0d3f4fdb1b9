-- What the analysis of repeat contact finds. Written by `contactbi segment`, read by the marts.

create schema analysis;

create table analysis.segment_runs (
    run_id      bigint generated always as identity primary key,
    as_of       timestamptz not null,
    days        integer not null,
    customers   bigint not null,
    silhouette  double precision not null,
    ran_at      timestamptz not null default clock_timestamp()
);
comment on table analysis.segment_runs is 'One row per run of the analysis: where it looked from, over how many days, and how well the segments part (silhouette, -1 to 1).';

create table analysis.segments (
    run_id      bigint not null references analysis.segment_runs (run_id),
    segment     integer not null,
    name        text not null,
    customers   bigint not null,
    contacts    bigint not null,
    profile     jsonb not null,
    primary key (run_id, segment)
);
comment on table analysis.segments is 'One row per run and segment, with the mean of each feature over its customers.';

create table analysis.customer_segments (
    run_id        bigint not null references analysis.segment_runs (run_id),
    customer_key  text not null,
    segment       integer not null,
    features      jsonb not null,
    primary key (customer_key)
);
comment on table analysis.customer_segments is 'One row per customer of the last run. Keys, never numbers or addresses.';
