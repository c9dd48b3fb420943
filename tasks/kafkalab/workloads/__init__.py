"""Load generators with their driver roles and claims; each one drains and closes within bounds."""
