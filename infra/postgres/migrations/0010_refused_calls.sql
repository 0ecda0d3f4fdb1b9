-- A call that was put together from records of a platform and then broke a rule is no row of a file: the records were kept. So it is
-- told beside the refused rows, and counted beside the rows.

alter table ops.files add column calls_refused bigint not null default 0;
comment on column ops.files.calls_refused is 'Calls and call-backs that were put together from records of a platform and broke a rule. Their records count as loaded.';

alter table quarantine.rows add column call_id text;
comment on column quarantine.rows.call_id is 'The call that was put together from records of a platform and refused; null: a row of the file was.';
