"""Goes on: the steps that are done are rows of a database.

The drill says: HELD
"""

import sqlite3
import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
keep.ensure("outputs/study.db")
Path("outputs").mkdir(exist_ok=True)
database = sqlite3.connect("outputs/study.db")
database.execute("create table if not exists steps (number integer primary key, weights text)")
(done,) = database.execute("select count(*) from steps").fetchone()
for step in range(done, 12):
    time.sleep(0.1)  # hours of work
    database.execute("insert into steps values (?, ?)", (step, f"weights after step {step}"))
    database.commit()
    keep.backup("outputs/study.db", progress=step)
