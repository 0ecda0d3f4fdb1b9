"""The wiring: Airflow DAGs that call the same functions as the command line, and do no work of their own."""
