-- What the feeds have published, so that every batch reaches S3 exactly once. A batch is planned here in one transaction, committed to
-- its Delta table under its feed_version, and recorded here again; whoever finds a planned batch asks the table whether it landed.

create table ops.feed_batches (
    feed             text not null,
    feed_version     bigint not null,
    build_id         bigint not null references ops.builds (build_id),
    replaces_table   boolean not null,
    complete         boolean not null default true,
    state            text not null default 'planned' check (state in ('planned', 'committed', 'lost')),
    planned_at       timestamptz not null default now(),
    committed_at     timestamptz,
    rows             bigint,
    delta_version    bigint,
    lost_because     text,
    primary key (feed, feed_version),
    constraint feed_batches_committed_is_dated check (state <> 'committed' or committed_at is not null),
    constraint feed_batches_lost_has_reason check (state <> 'lost' or lost_because is not null)
);
create unique index feed_batches_one_planned on ops.feed_batches (feed) where state = 'planned';
comment on table ops.feed_batches is 'One row per batch of a feed. feed_version only ever grows, and is the transaction id in the Delta table.';
comment on column ops.feed_batches.build_id is 'Build that had passed the release gate when the batch was planned.';
comment on column ops.feed_batches.replaces_table is 'First batch of the feed, or first one after its table was lost: it replaces whatever the table held.';
comment on column ops.feed_batches.complete is 'False: more of the same build was left for the next batch.';
comment on column ops.feed_batches.state is 'lost: the table no longer holds the batch, so everything is published again.';

create table ops.feed_files (
    feed          text not null,
    file_id       bigint not null references ops.files (file_id),
    feed_version  bigint not null,
    primary key (feed, file_id),
    foreign key (feed, feed_version) references ops.feed_batches (feed, feed_version)
);
create index feed_files_by_batch on ops.feed_files (feed, feed_version);
comment on table ops.feed_files is 'Files that a raw feed has taken into a batch: each file once.';

create table ops.feed_rows (
    feed          text not null,
    row_key       text not null,
    content_hash  uuid,
    feed_version  bigint not null,
    primary key (feed, row_key),
    foreign key (feed, feed_version) references ops.feed_batches (feed, feed_version)
);
comment on table ops.feed_rows is 'What an aggregate feed last said of each key: only another content is published again.';
comment on column ops.feed_rows.content_hash is 'MD5 of the published columns, build_id left out; null: the row was withdrawn.';

create table ops.feed_outbox (
    feed          text not null,
    feed_version  bigint not null,
    content       jsonb not null,
    foreign key (feed, feed_version) references ops.feed_batches (feed, feed_version)
);
create index feed_outbox_by_batch on ops.feed_outbox (feed, feed_version);
comment on table ops.feed_outbox is 'Rows of a planned aggregate batch as they stood when it was planned: marts may change before it lands. Emptied afterwards.';
