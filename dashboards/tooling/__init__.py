"""From the YAML of `dashboards/assets` and `dashboards/access` to what Superset holds."""
