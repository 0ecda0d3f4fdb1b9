"""What analysts see: Superset's datasets, charts, dashboards and roles, as files, and the tooling that imports them.

It reads the marts and changes nothing in the warehouse.
"""
