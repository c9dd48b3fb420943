#!/bin/sh
# Packages are laid out without their scripts; some parts of Airflow start `airflow` by its name.
exec python -m airflow "$@"
