-- The ledgers: what came in (ops.files), what was refused (quarantine.rows), what was built (ops.builds) and what was
-- checked (ops.gate_results). Every batch and file has a row here, whether it succeeded or failed.

create schema raw;
create schema ops;
create schema quarantine;
create schema marts;

create table ops.files (
    file_id             bigint generated always as identity primary key,
    interface           text not null,
    name                text not null,
    source              text not null,
    platform            text,
    file_stamp          timestamptz,
    file_sequence       bigint,
    size_bytes          bigint,
    sha256              text,
    fingerprint         text,
    first_seen_at       timestamptz not null default now(),
    last_polled_at      timestamptz not null default now(),
    polls               integer not null default 1,
    state               text not null default 'seen' check (state in ('seen', 'loading', 'loaded', 'quarantined')),
    batch_id            bigint,
    rows_read           bigint,
    rows_loaded         bigint,
    rows_unchanged      bigint,
    rows_quarantined    bigint,
    cards_redacted      bigint not null default 0,
    rule                text,
    error               text,
    started_at          timestamptz,
    finished_at         timestamptz,
    download_seconds    numeric(12, 3),
    parse_seconds       numeric(12, 3),
    load_seconds        numeric(12, 3),
    constraint files_conserve_rows check (
        state not in ('loaded', 'quarantined')
        or rows_read is null
        or rows_read = rows_loaded + rows_unchanged + rows_quarantined
    ),
    constraint files_loaded_has_counts check (state <> 'loaded' or (rows_read is not null and sha256 is not null)),
    constraint files_quarantined_has_reason check (state <> 'quarantined' or (rule is not null and error is not null)),
    constraint files_one_delivery unique nulls not distinct (interface, name, sha256)
);
create index files_by_state on ops.files (interface, state);
create index files_by_position on ops.files (interface, platform, file_sequence);
comment on table ops.files is 'One row per delivery of a file: the same name with other bytes is a new delivery.';
comment on column ops.files.polls is 'Times that the file was found not ready (digest differs, gzip cut off) since its bytes last changed.';
comment on column ops.files.fingerprint is 'What the listing said when the bytes were last read (size and time of change, or S3 ETag); null when it must be read again.';

create table ops.unknown_fields (
    interface       text not null,
    field           text not null,
    first_file_id   bigint not null references ops.files (file_id),
    first_seen_at   timestamptz not null default now(),
    primary key (interface, field)
);
comment on table ops.unknown_fields is 'Fields that a supplier sent and the contract does not know: kept in _extra, reported once each.';

create table ops.record_touches (
    file_id     bigint not null references ops.files (file_id),
    interface   text not null,
    record_key  text not null,
    primary key (file_id, interface, record_key)
);
comment on table ops.record_touches is 'Records whose current version may have changed although the file added no row for them.';

create table quarantine.rows (
    row_id          bigint generated always as identity primary key,
    interface       text not null,
    file_id         bigint not null references ops.files (file_id),
    file            text not null,
    line_number     bigint,
    field           text,
    rule            text not null,
    message         text not null,
    raw_text        text,
    batch_id        bigint not null,
    quarantined_at  timestamptz not null default now()
);
create index rows_by_file on quarantine.rows (file_id);
comment on table quarantine.rows is 'Every row that was refused: where it stood, the rule it broke, and what to do. Personal data is masked.';

create sequence ops.batch_ids;

create table ops.builds (
    build_id        bigint generated always as identity primary key,
    as_of           timestamptz not null,
    full_refresh    boolean not null,
    reason          text,
    inputs_digest   text not null,
    state           text not null default 'running' check (state in ('running', 'succeeded', 'failed')),
    started_at      timestamptz not null default now(),
    finished_at     timestamptz,
    error           text
);
comment on column ops.builds.inputs_digest is 'SHA-256 over seeds, models and parameters: another digest means that marts must be built in full.';

create table ops.build_files (
    file_id     bigint primary key references ops.files (file_id),
    build_id    bigint not null references ops.builds (build_id)
);
create index build_files_by_build on ops.build_files (build_id);
comment on table ops.build_files is 'Loaded files that a build has taken in: the scope that every model of that build reads.';

create table ops.gate_results (
    result_id   bigint generated always as identity primary key,
    gate        text not null check (gate in ('raw', 'release')),
    batch_id    bigint,
    build_id    bigint references ops.builds (build_id),
    success     boolean not null,
    findings    jsonb not null,
    checked_at  timestamptz not null default now()
);
comment on table ops.gate_results is 'Outcome of each run of a gate; a release without a passed gate is refused.';
