"""How the lab hears of a merge and tells what came of it.

`webhook` and `status` are pure or speak plain HTTP; `airflow_app` alone knows Airflow.
"""
