-- What the CRM's role may do: read the work in progress with who each application is of, and nothing else. Run by the
-- owner of the warehouse at every `contactbi up`. The view is made at the first load, so future ones are granted too.

do $$ begin execute format('grant connect on database %I to contactbi_crm', current_database()); end $$;
grant usage on schema serving to contactbi_crm;
grant select on all tables in schema serving to contactbi_crm;
alter default privileges in schema serving grant select on tables to contactbi_crm;
