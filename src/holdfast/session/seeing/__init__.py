"""What a person sees: what is safe, and what awaits, in a notebook and in a terminal.

Words are decided once (`verdict`, `welcome`) and become a `Sight`; `page` and `terminal` show one and decide nothing.
"""
