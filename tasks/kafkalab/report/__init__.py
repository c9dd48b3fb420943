"""What a person sees at the end of a run: one HTML page, and one table on the terminal.

`render.render` makes the page, `console.print_summary` the table. Both only read what the run
stored; neither judges anything: a word on the page is a word that the gate or a checker said.
"""
