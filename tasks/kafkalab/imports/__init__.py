"""Histories that others recorded, as histories of the lab: one module a format.

Each reads a text and gives the columns of model/history.py, so that every claim can be judged on
them; nothing here judges.
"""
