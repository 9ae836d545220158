"""The report: what was made, and how good it is, as a page and as Markdown."""

from __future__ import annotations

import time

from holdfast.flow.stage import Made
from holdfast.pipeline.layout import PAGE, REPORT
from holdfast.pipeline.report.gathering import Known, gather, kept_by
from holdfast.pipeline.report.markdown import markdown
from holdfast.pipeline.report.page import page
from holdfast.pipeline.stages import Workbench
from holdfast.session.files import write_text


def write_report(bench: Workbench) -> Made:
    """Write both. Of what the page shows beside records, small files are fetched where they are not here."""
    records = {name: finished.record for name, finished in bench.done.items()}
    known = [Known(name, "done", finished=True, stage=f.stage, record=f.record) for name, f in bench.done.items()]
    status = bench.keeper.status if bench.keeper.enabled else None
    facts = gather(bench.experiment, known, kept_by(bench.keeper), status, time.time())
    write_text(bench.folder / PAGE, page(facts))
    write_text(bench.folder / REPORT, markdown(bench.experiment.name, records))
    return Made(bench.stage.fingerprint, {"test_f1": records["final_training"].summary["test"]["micro"]["f1"]})
