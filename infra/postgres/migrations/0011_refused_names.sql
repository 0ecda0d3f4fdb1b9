-- A file that is refused for its name alone was never read: it is part of no batch, and people are called about it once.

alter table quarantine.rows alter column batch_id drop not null;
alter table ops.files add column told_at timestamptz;
comment on column ops.files.told_at is 'When the scheduler called for help about a file that is refused for its name alone.';

insert into quarantine.rows (interface, file_id, file, rule, message, quarantined_at)
select interface, file_id, name, rule, error, finished_at from ops.files where rule = 'file_name';
