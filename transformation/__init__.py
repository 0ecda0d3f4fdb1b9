"""Raw tables to marts: runs the dbt project in `dbt/`, which holds every business rule as SQL."""
