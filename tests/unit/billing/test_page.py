"""The printable document: German, safe, complete."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from regiohub_billing.domain.document import Item, invoice_lines
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.render.document import Printed, Shell, page, style_source

START = datetime(2026, 11, 25, 8, tzinfo=UTC)
RULES = [
    TaxRule("S19", date(2020, 1, 1), Decimal(19), "S", "", "44110000"),
    TaxRule("E12", date(2020, 1, 1), Decimal(0), "E", "Steuerfrei nach § 4 Nr. 12 Buchst. a UStG", "44110000"),
]
INVOICE = Printed(
    kind="invoice", number="R-2026-000001", refers_number="", test=False, issue_date=date(2026, 11, 25),
    booking_code="ABCD2345",
    seller={
        "name": "Stadt Bendorf", "street": "Im Stadtpark 1", "postcode": "56170", "city": "Bendorf", "country": "DE",
        "tax_number": "22/650/00000", "vat_id": "",
    },
    buyer={
        "name": "<script>alert(1)</script>", "street": "Hauptstraße 1", "postcode": "56170", "city": "Bendorf",
        "country": "DE",
    },
    lines=invoice_lines([Item("Tisch & Co", START, START + timedelta(hours=2), 1200, "S19")], RULES),
    net_cents=1008, tax_cents=192, gross_cents=1200, payment_reference="pi_1",
)  # fmt: skip


def test_an_invoice_carries_what_the_law_asks_for():
    html = page(INVOICE)

    for text in (
        "Rechnung R-2026-000001", "Stadt Bendorf", "22/650/00000", "25.11.2026 09:00–11:00 Uhr", "19\u00a0%",
        "10,08\u00a0€", "1,92\u00a0€", "12,00\u00a0€", "Tisch &amp; Co", "bereits bezahlt",
    ):  # fmt: skip
        assert text in html


def test_nothing_runs_and_nothing_is_loaded():
    html = page(INVOICE)

    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.findall(r"(?:src|href)=|@import|url\(", html)
    assert style_source().startswith("'sha256-")


def test_the_way_back_and_the_english_stand_around_the_document_and_are_not_printed():
    german, english = page(INVOICE), page(INVOICE, Shell(english=True, back="/en/bookings/1"))

    assert 'href="/en/bookings/1"' in english
    assert 'lang="en"' not in german
    assert 'Nummer <span class="en" lang="en">Number</span>' in english
    assert 'data-label="Brutto / Gross"' in english
    around = r'<nav class="shell".*?</nav>\n|<p class="shell".*?</p>\n| <span class="en".*?</span>| / [A-Za-z .]+(?=">)'
    assert re.sub(around, "", english) == german
    assert "@media print { .shell, .en { display: none; }" in german


def test_every_cell_names_itself_where_the_table_is_stacked():
    cells = re.findall(r"<td[^>]*>", page(INVOICE).partition("<tbody>")[2].partition("</tbody>")[0])

    assert [re.search('data-label="(.*?)"', cell)[1] for cell in cells] == [
        "Pos.", "Leistung", "Zeitraum der Leistung", "USt", "Netto", "Brutto",
    ]  # fmt: skip


def test_a_cancellation_refers_to_its_invoice_and_is_never_called_gutschrift():
    html = page(replace(INVOICE, kind="cancellation", number="S-2026-000001", refers_number="R-2026-000001"))

    assert "Stornorechnung S-2026-000001" in html
    assert "Rechnungskorrektur zu R-2026-000001" in html
    assert "-12,00\u00a0€" in html
    assert "gutschrift" not in html.lower()


@pytest.mark.parametrize(("test", "there"), [(True, True), (False, False)])
def test_sandbox_documents_say_so(test, there):
    assert ("Testbeleg" in page(replace(INVOICE, test=test))) is there


def test_without_tax_the_reason_is_printed():
    lines = invoice_lines([Item("Raum", START, START + timedelta(hours=2), 1200, "E12")], RULES)
    assert "Steuerfrei nach § 4 Nr. 12" in page(replace(INVOICE, lines=lines))
