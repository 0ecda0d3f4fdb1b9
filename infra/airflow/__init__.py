"""How Airflow is configured: our settings turned into Airflow's own, all of them in one place.

This package must not import Airflow: it only writes down what Airflow reads.
"""
