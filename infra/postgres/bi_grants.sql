-- What the dashboards' role may do: read the marts. Run by the owner of the warehouse at every `contactbi up`.
-- dbt makes tables anew, so future ones are granted too; it does not make the schema anew.

do $$ begin execute format('grant connect on database %I to contactbi_bi', current_database()); end $$;
grant usage on schema marts to contactbi_bi;
grant select on all tables in schema marts to contactbi_bi;
alter default privileges in schema marts grant select on tables to contactbi_bi;
