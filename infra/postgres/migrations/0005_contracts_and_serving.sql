-- Which contract made each raw table, and the schema that holds what only the CRM's role may see.

create table ops.contracts (
    interface   text not null,
    version     text not null,
    document    jsonb not null,
    applied_at  timestamptz not null default clock_timestamp(),
    primary key (interface, applied_at)
);
comment on table ops.contracts is 'Every state of every contract that this warehouse has applied; the latest one made the raw table as it is.';

alter table ops.files add column is_released boolean not null default false;
comment on column ops.files.is_released is 'Somebody said that this full extract is right although its size differs from the one before.';

create schema serving;
comment on schema serving is 'Personal data in the clear, for the CRM alone. Analysts have no right here.';
