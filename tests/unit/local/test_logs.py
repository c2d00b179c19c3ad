"""Log lines of one booking are found by its id, whatever else stands in the logs."""

import json

from regiohub_local import logs, processes


def write(folder, program, *lines):
    processes.log_path(folder, program).write_text("".join(f"{line}\n" for line in lines))


def test_the_first_delivery_of_a_booking_leads_to_its_trace(tmp_path):
    write(
        tmp_path, "booking-worker", "Traceback: no JSON", "17",
        json.dumps({"event": "fact_refused", "subject": "b-1", "trace_id": "t-0"}),
        json.dumps({"event": "fact_delivered", "subject": "b-2", "trace_id": "t-2"}),
        json.dumps({"event": "fact_delivered", "subject": "b-1", "trace_id": "t-1"}),
        json.dumps({"event": "fact_delivered", "subject": "b-1", "trace_id": "t-3"}),
    )  # fmt: skip
    write(tmp_path, "access", json.dumps({"event": "request", "trace_id": "t-1"}), json.dumps({"trace_id": "t-2"}))
    write(tmp_path, "billing", "")

    assert logs.trace_of(tmp_path, "b-1") == "t-1"
    assert logs.trace_of(tmp_path, "b-9") == ""
    assert logs.of_trace(tmp_path, ("access", "billing"), "t-1") == {
        "access": [{"event": "request", "trace_id": "t-1"}], "billing": [],
    }  # fmt: skip
