-- Records of telephony platforms as they were sent, without customers' numbers: calls are put together from them.

create table raw.platform_record (
    platform        text not null,
    call_id         text not null,
    digest          uuid not null,
    record          jsonb not null,
    _file_id        bigint not null,
    _line_number    bigint not null,
    _loaded_at      timestamptz not null,
    _batch_id       bigint not null,
    primary key (platform, call_id, digest)
);
create index on raw.platform_record (_file_id);
comment on table raw.platform_record is 'Every version of every record of a telephony platform, once, pseudonymised; raw.telephony_call and raw.callback_event follow from it.';

create table ops.platform_notes (
    file_id     bigint not null references ops.files (file_id),
    platform    text not null,
    call_id     text not null,
    note        text not null,
    noted_at    timestamptz not null default now(),
    primary key (file_id, platform, call_id, note)
);
comment on table ops.platform_notes is 'What was odd when a call was put together from the records of its platform, in plain English.';
