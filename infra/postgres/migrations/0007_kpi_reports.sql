-- What was reported, so that a figure that changes afterwards is seen to have changed. Written when a feed or a pack is issued, never
-- changed afterwards. Only periods that are over and settled are reported; a value is written again only when it differs.

create table ops.kpi_reports (
    report_id    bigint generated always as identity primary key,
    occasion     text not null check (occasion in ('feed', 'pack')),
    build_id     bigint not null references ops.builds (build_id),
    as_of        timestamptz not null,
    reported_at  timestamptz not null default clock_timestamp()
);
comment on table ops.kpi_reports is 'One row per issue that reported KPI values for the first time, or other values than before.';

create table ops.kpi_reported (
    kpi_code               text not null,
    grain                  text not null,
    period_start           timestamptz not null,
    line_of_business       text not null,
    report_id              bigint not null references ops.kpi_reports (report_id),
    numerator              numeric,
    denominator            numeric,
    value                  numeric,
    target                 numeric,
    threshold              numeric,
    status                 text not null,
    service_credit_points  numeric not null,
    rule_version           text not null,
    primary key (kpi_code, grain, period_start, line_of_business, report_id)
);
create index kpi_reported_by_report on ops.kpi_reported (report_id);
comment on table ops.kpi_reported is 'Values as they were reported. The first row of a KPI, period and line is what was first reported.';
