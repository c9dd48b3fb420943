"""What happened around a finding, told line by line: tell.py."""
