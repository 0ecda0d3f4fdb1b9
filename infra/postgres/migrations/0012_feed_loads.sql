-- A file that is loaded again may bring rows that were refused before, after a raw feed has published the others. So a feed takes a file
-- again after each build that took it in, and remembers which of its loads every batch holds.

alter table ops.feed_files
    add column load_batches bigint[] not null default '{}',
    drop constraint feed_files_pkey,
    add primary key (feed, file_id, feed_version);
alter table ops.feed_files alter column load_batches drop default;
comment on table ops.feed_files is 'Files that a raw feed has taken into a batch: each load of a file once.';
comment on column ops.feed_files.load_batches is 'Loads of the file (_batch_id of its rows) whose rows this batch holds; none of them is in another batch.';

-- Until now a batch held whatever of a file was there when it was published; a load that came later has not been published.
do $$
begin
    if to_regclass('raw.telephony_call') is not null then
        update ops.feed_files as pinned
        set load_batches = array(
            select distinct calls._batch_id from raw.telephony_call as calls
            where calls._file_id = pinned.file_id and calls._loaded_at <= coalesce(batches.committed_at, 'infinity')
        )
        from ops.feed_batches as batches
        where batches.feed = pinned.feed and batches.feed_version = pinned.feed_version;
    end if;
end $$;
