-- A delivery that is loaded again keeps the rows that it brought before: the counts of a load are of that load alone.

alter table ops.files add column rows_before bigint not null default 0;
comment on column ops.files.rows_before is 'Rows that earlier loads of this delivery put into raw: raw holds rows_before + rows_loaded of it.';
