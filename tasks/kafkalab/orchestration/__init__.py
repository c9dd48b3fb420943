"""What DAG files import: step operator, chain, params, pools; and the Airflow home of the lab.

A DAG task wraps exactly one step, that is one command in a container or a process. Airflow and the
step meet in that command line, its exit code and its last line of output, never in a Python import.
"""
