"""Bring Airflow's database up to date and create the lab's pools; runs once before every start."""

import subprocess

from kafkalab.orchestration.pools import create_pools

subprocess.run(["airflow", "db", "migrate"], check=True)
create_pools()
