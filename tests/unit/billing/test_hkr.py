"""The HKR file: columns, sums, encoding, neutralised and transliterated text."""

import csv
import io
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_billing.domain.document import Item, invoice_lines
from regiohub_billing.domain.hkr import (
    Booked,
    Party,
    Record,
    cash_sign,
    claims_first,
    frame,
    records,
    unordered,
    without,
)
from regiohub_billing.domain.journal import Accounts, EntryKind
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.render import hkr

ACCOUNTS = Accounts()
DAY = date(2026, 11, 25)
START = datetime(2026, 11, 25, 8, tzinfo=UTC)
RULES = [
    TaxRule("S19", date(2020, 1, 1), Decimal(19), "S", "", "44110000"),
    TaxRule("S07", date(2020, 1, 1), Decimal(7), "S", "", "44120000"),
]
LINES = invoice_lines(
    [
        Item("Flex-Desk", START, START + timedelta(hours=2), 3570, "S19"),
        Item("Beamer", START, START + timedelta(hours=2), 107, "S07"),
    ],
    RULES,
)
BUYER = Party("Muster GmbH", "Hauptstr. 1", "56727", "Mayen", "DE")


def booked(kind: EntryKind, **changes) -> Booked:
    values: dict[str, Any] = {
        "entry_id": "e-1", "kind": kind, "posted_on": DAY, "amount_cents": 3677, "payment_reference": "pi_1",
        "document_number": "R-2026-000001", "invoice_number": "R-2026-000001", "buyer": BUYER, "lines": LINES,
    }  # fmt: skip
    return Booked(**values | changes)


def read(content: bytes) -> list[dict[str, str]]:
    text = content.decode("cp1252")
    assert text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))


def write(entries: list[Booked], *, test: bool = False) -> list[dict[str, str]]:
    return read(hkr.write(frame(records(entries, ACCOUNTS), ACCOUNTS, "Stadt Bendorf", DAY, test=test)).content)


def test_one_record_per_account_and_tax_code_and_a_trailer_with_count_and_sum():
    payment = booked(EntryKind.PAYMENT, entry_id="e-0", document_number="", buyer=None, lines=())
    rows = write([payment, booked(EntryKind.INVOICE)])

    assert [row["Satzart"] for row in rows] == ["V", "I", "S", "S", "N"]
    assert [row["LfdNr"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["Betrag brutto"] for row in rows[1:]] == ["36,77", "1,07", "35,70", "73,54"]
    assert [row["Steuerkennzeichen"] for row in rows[2:4]] == ["S07", "S19"]
    assert rows[3]["Betrag netto"] == "30,00"
    assert rows[3]["Steuerbetrag"] == "5,70"
    assert rows[3]["Name1"] == "Muster GmbH"
    assert rows[3]["Anordnungsdatum"] == "25.11.2026"
    assert rows[3]["Verwendungszweck"] == "Flex-Desk 25.11.2026, Beamer 25.11.2026"
    assert rows[1]["Name1"] == ""
    assert rows[1]["BelegNr"] == "R-2026-000001"
    assert rows[0]["Verwendungszweck"] == "RegioHub 1.0"
    assert len({row["AnordnungsNrExtern"] for row in rows[1:4]}) == 3


def test_cancellation_and_refund_carry_direction_by_record_type_not_by_sign():
    credit = {"document_number": "S-2026-000001"}
    rows = write([booked(EntryKind.CANCELLATION, **credit), booked(EntryKind.REFUND, **credit, lines=())])

    assert [row["Satzart"] for row in rows] == ["V", "A", "A", "R", "N"]
    assert {row["BelegNr"] for row in rows[1:4]} == {"S-2026-000001"}
    assert {row["BezugBelegNr"] for row in rows[1:4]} == {"R-2026-000001"}
    assert all("-" not in row["Betrag brutto"] for row in rows)


def test_a_free_line_beside_a_paid_one_is_no_order():
    end = START + timedelta(hours=2)
    items = [Item("Flex-Desk", START, end, 3570, "S19"), Item("Beamer", START, end, 0, "S07")]
    lines = invoice_lines(items, RULES)
    (part,) = records([booked(EntryKind.INVOICE, lines=lines)], ACCOUNTS)
    (back,) = records([booked(EntryKind.CANCELLATION, lines=lines)], ACCOUNTS)

    assert (part.record.gross_cents, part.record.tax_code, part.record.order_id) == (3570, "S19", "e-1-1")
    assert (back.record.gross_cents, back.part) == (3570, 1)
    assert part.record.purpose == "Flex-Desk 25.11.2026, Beamer 25.11.2026"


def test_what_lacks_its_order_is_left_for_a_later_file_unless_nothing_else_is_there():
    prepayment = booked(EntryKind.PAYMENT, invoice_number="", document_number="")
    payment, credit = booked(EntryKind.PAYMENT), booked(EntryKind.CANCELLATION, document_number="S-2026-000001")
    other = booked(EntryKind.INVOICE, invoice_number="R-2026-000002")

    assert unordered([prepayment, payment, credit, other]) == {"R-2026-000001"}
    assert unordered([prepayment, payment, credit, other, booked(EntryKind.INVOICE)]) == set()
    assert without([prepayment, payment, other, credit], {"R-2026-000001"}) == [prepayment, other]
    assert without([payment, credit], {"R-2026-000001"}) == [payment, credit], "the books never stand still"


ENTRIES = st.lists(st.tuples(st.sampled_from(EntryKind), st.sampled_from(["", "R-2026-000001", "R-2026-000002"])))


@given(ENTRIES)
def test_an_order_stands_before_its_money_and_all_else_stays(entries: list[tuple[EntryKind, str]]):
    given_ = [booked(kind, entry_id=f"e-{n}", invoice_number=invoice) for n, (kind, invoice) in enumerate(entries)]
    found = claims_first(given_)

    assert sorted(map(id, found)) == sorted(map(id, given_))
    assert claims_first(found) == found
    assert [entry.invoice_number for entry in found] == [entry.invoice_number for entry in given_]
    for sign in ("R-2026-000001", "R-2026-000002"):
        kinds = [entry.kind for entry in found if entry.invoice_number == sign]
        money = [EntryKind.REFUND, EntryKind.REFUND_FAILED]
        before = [kind for kind in kinds if kind not in money]
        assert before == sorted(before, key=[EntryKind.INVOICE, EntryKind.PAYMENT, EntryKind.CANCELLATION].index)
        assert kinds == before + kinds[len(before) :]
        given_back = [entry for entry in given_ if entry.invoice_number == sign and entry.kind in money]
        assert [entry for entry in found if entry.invoice_number == sign][len(before) :] == given_back
    assert [e for e in found if not e.invoice_number] == [e for e in given_ if not e.invoice_number]


def test_a_prepayment_without_invoice_says_so():
    rows = write([booked(EntryKind.PAYMENT, document_number="", invoice_number="", buyer=None, lines=())], test=True)

    assert rows[1]["Kassenzeichen"] == ""
    assert "ohne Rechnung" in rows[1]["Verwendungszweck"]
    assert rows[0]["Verwendungszweck"] == "RegioHub 1.0 TEST"


def test_the_header_has_the_28_columns_of_the_default_profile():
    header = hkr.write([]).content.decode("cp1252").rstrip("\r\n").split(";")

    assert len(header) == 28
    assert header[:2] == ["Satzart", "LfdNr"]
    assert header[-1] == "Zahlungsreferenz"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("+49 2622", "'+49 2622"), ("-5", "'-5"), ("@SUM(A1)", "'@SUM(A1)"), ("a=b", "a=b"),
        ("\t=1+1", "'=1+1"), (" \r\n=1+1", "'=1+1"), ("＝1", "'=1"), ("−1", "'-1"), ("Zeile\neins", "Zeile eins"),
    ],
)  # fmt: skip
def test_a_spreadsheet_runs_nothing(text, written):
    rows = write([booked(EntryKind.INVOICE, buyer=Party(text, "x", "56170", "y", "DE"))])
    assert rows[1]["Name1"] == written


def test_what_cp1252_cannot_write_is_replaced_and_listed():
    buyer = Party("Łukasz Őry 北", "Čapek-Straße 1", "56170", "Bendorf", "DE")
    parts = records([booked(EntryKind.INVOICE, buyer=buyer)], ACCOUNTS)
    file = hkr.write(frame(parts, ACCOUNTS, "Stadt", DAY, test=False))

    assert read(file.content)[1]["Name1"] == "Lukasz Öry Bei"
    assert read(file.content)[1]["Straße"] == "Capek-Straße 1"
    found = {(item.column, item.original, item.written, item.reason) for item in file.replaced}
    assert found == {
        ("Name1", "Łukasz Őry 北", "Lukasz Öry Bei", "encoding"),
        ("Straße", "Čapek-Straße 1", "Capek-Straße 1", "encoding"),
    }


def named(name: str) -> tuple[dict[str, str], list[hkr.Replaced]]:
    parts = records([booked(EntryKind.INVOICE, buyer=Party(name, "x", "56170", "y", "DE"))], ACCOUNTS)
    file = hkr.write(frame(parts, ACCOUNTS, "Stadt", DAY, test=False))
    return read(file.content)[1], file.replaced


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("x" * 80, "x" * 80, ""),
        ("Verein " * 12 + "e.V.", ("Verein " * 11).strip(), "Verein e.V."),
        ("y" * 120, "y" * 79, "y" * 41),
        ("=" + "a" * 80, "'=" + "a" * 78, "aa"),
        ("a " * 39 + "bc =1+1", ("a " * 39).strip(), "bc =1+1"),
        ("a " * 39 + "b =1+1", "a " * 39 + "b", "'=1+1"),
    ],
)
def test_a_name_that_is_too_long_goes_on_in_name2(name: str, first: str, second: str):
    row, replaced = named(name)

    assert (row["Name1"], row["Name2"]) == (first, second)
    assert len(row["Name1"]) <= 80
    assert replaced == []


def test_a_long_name_in_another_script_loses_no_letter():
    row, replaced = named("Щорс " * 15 + "Щ" * 7)

    assert " ".join([row["Name1"], row["Name2"]]) == "Shchors " * 15 + "Shch" * 7
    assert {item.reason for item in replaced} == {"encoding"}


def test_what_is_cut_off_is_listed_as_shortened():
    row, replaced = named("z" * 200)
    assert (len(row["Name1"]), len(row["Name2"])) == (79, 80)
    assert {(item.column, len(item.original), item.reason) for item in replaced} == {("Name2", 121, "length")}

    buyer = Party("x", "s" * 81, "56170", "o" * 61, "DE")
    parts = records([booked(EntryKind.INVOICE, buyer=buyer, lines=LINES[:1])], ACCOUNTS)
    found = hkr.write([part.record for part in parts]).replaced
    assert [(item.column, len(item.written), item.reason) for item in found] == [
        ("Straße", 80, "length"), ("Ort", 60, "length"),
    ]  # fmt: skip


def one_by_one(text: str) -> str:
    """How it was written first, character by character: the yardstick for the short cuts."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(char if hkr._fits(char, "cp1252") else hkr._nearest(char, "cp1252") for char in composed)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Олександр Шевченко", "Oleksandr Shevchenko"), ("Γιώργος", "Giorgos"), ("Škođa Øst", "Škoda Øst"),
        ("Nguyễn", "Nguyen"), ("\ue000", "?"),
    ],
)  # fmt: skip
def test_a_name_in_another_script_is_spelt_in_latin_letters(name: str, written: str):
    assert hkr.transliterate(name, "cp1252") == written


@given(st.text(max_size=40))
def test_short_cuts_write_what_the_long_way_writes(text: str):
    written = hkr.transliterate(text, "cp1252")
    assert written == one_by_one(text)
    written.encode("cp1252")
    flat = "".join(" " if unicodedata.category(char) == "Cc" else char for char in text).strip()
    assert hkr.neutralise(text).removeprefix("'") == flat.removeprefix("'")
    assert not hkr.neutralise(text).startswith(("=", "+", "-", "@"))


@given(st.text(max_size=60), st.integers(0, 10**9))
def test_any_text_and_amount_can_be_read_back(text, cents):
    record = Record("S", 2, "00137", 2026, name1=text, gross_cents=cents, purpose=text * 4)
    row = read(hkr.write([record]).content)[0]

    assert Decimal(row["Betrag brutto"].replace(",", ".")) * 100 == cents
    assert not row["Name1"].startswith(("=", "+", "-", "@"))
    assert len(row["Verwendungszweck"]) <= 140


def test_the_same_records_give_the_same_bytes():
    parts = records([booked(EntryKind.INVOICE)], ACCOUNTS)
    framed = frame(parts, ACCOUNTS, "Stadt", DAY, test=False)
    assert hkr.write(framed).content == hkr.write(framed).content


def test_the_cash_sign_has_a_check_digit_and_marks_tests():
    assert cash_sign("R-2026-000001") == "26RH000001-3"
    assert cash_sign("TEST-R-2026-000001") == "T26RH000001-3"
    assert cash_sign("") == ""
    assert cash_sign("R-2026-000001")[-1] != cash_sign("R-2026-000010")[-1]


def test_the_file_name_follows_the_profile():
    assert hkr.file_name("00137", DAY, 7) == "HKR_00137_20261125_0007.csv"
