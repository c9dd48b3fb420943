"""The verdicts of a history while it grows: judge.py has the argument."""
