"""What the lab stands on: folders, pins, the JRE, Maven artifacts, leases and guarded processes.

`cluster`, `clients` and `artifacts` all start Java programs that must not outlive their run; this
package holds what they share. It imports `model` only.
"""
