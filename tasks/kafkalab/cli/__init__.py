"""The commands for people; each module is one command, imported when it is used."""
