"""Catalogues, times, forms, and the locked front-end files."""

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from regiohub_gateway import vendor
from regiohub_gateway.settings import Settings
from regiohub_gateway.web import moments, texts
from regiohub_gateway.web.forms import Form, known_id, known_slug
from regiohub_gateway.web.pages.operator import may_check_in
from regiohub_gateway.web.week import read_week
from regiohub_shared.events.housekeeping import KEEP_FACTS, KEEP_KEYS
from regiohub_shared.problem import NotFound

ROOT = Path(__file__).parents[3]
WEB = ROOT / "gateway/src/regiohub_gateway/web"


def test_both_languages_say_the_same_things():
    german, english = texts.catalogue("de"), texts.catalogue("en")

    assert german.keys() == english.keys()
    for key, text in german.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[key])), key
        assert text.strip()
        assert english[key].strip()


def test_every_key_that_a_page_names_exists():
    used = {
        match
        for path in WEB.rglob("*.html")
        for match in re.findall(r"""\bt\(['"]([a-z_]+\.[a-z0-9_-]+)['"][,)]""", path.read_text())
    }

    assert len(used) > 150
    assert used - texts.catalogue("de").keys() == set()


def test_every_column_of_the_treasury_s_file_is_explained():
    # Its source, not the module: the gateway does not know the services.
    source = (ROOT / "services/billing/src/regiohub_billing/render/hkr.py").read_text()
    titles = re.findall(r'Column\("(.+?)"', source)

    assert len(titles) == 28
    assert {title for title in titles if not texts.has_text(f"hkr_column.{title}")} == set()


@pytest.mark.parametrize(("language", "times"), [
    ("de", "{} Tage nach der Zustellung|höchstens {} Tagen|nach {} Minuten|spätestens nach {} Stunden"),
    ("en", "{} days after delivery|after {} days at most|after {} minutes|latest after {} hours"),
])  # fmt: skip
def test_the_privacy_page_names_the_times_that_the_code_keeps(language, times):
    seconds = {name: Settings.model_fields[name].default for name in ("session_idle_s", "session_absolute_s")}
    kept = (KEEP_FACTS.days, KEEP_KEYS.days, seconds["session_idle_s"] // 60, seconds["session_absolute_s"] // 3600)
    said = texts.text(language, "privacy.keep_text")

    for words, number in zip(times.split("|"), kept, strict=True):
        assert words.format(number) in said


def test_the_pages_do_not_say_that_only_the_login_service_or_the_invoice_has_the_name():
    """Table `member` of booking has name and mail, the day list shows the name, the HKR file has name and address."""
    for language, words in {
        "de": ("Bei der Buchung: Ihr Name", "Tagesliste", "Kasse"),
        "en": ("your name and", "day list", "treasury"),
    }.items():
        said = " ".join(texts.text(language, f"privacy.{part}_text") for part in ("what", "shared"))
        assert all(word in said for word in words)
        assert words[-1] in texts.text(language, "pay.buyer_help")


@pytest.mark.parametrize(("language", "at"), [("de", "Bei der Buchung"), ("en", "With the booking")])
def test_the_privacy_page_says_that_the_login_service_keeps_passkeys(language, at):
    """Keycloak's credential of a passkey: its public key and the label."""
    assert "passkeys" in texts.text(language, "privacy.what_text").partition(at)[0].lower()


def named_problems():
    return {
        match
        for path in ROOT.glob("*/**/src/**/*.py")
        if "stripe_sandbox" not in path.parts and "regiohub_local" not in path.parts
        for match in re.findall(
            r'^    (?:status, )?type(?:, title)? = (?:\d+, )?"([a-z0-9-]+)"', path.read_text(), re.MULTILINE
        )
    }


def test_every_problem_that_anyone_names_has_a_page():
    named = named_problems()

    assert {"slot-taken", "grant-revoked", "nothing-to-pay", "too-many-holds"} <= named
    assert {name for name in named if not texts.has_text(f"problem.{name}")} == set()


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_problem_that_anyone_names_says_what_would_work(language):
    """Without it a page would have to show a service's English sentence, or none."""
    assert {name for name in named_problems() if not texts.problem_help(language, name)} == set()


def test_refusals_never_show_what_services_say_in_english():
    pages = {path.name: path.read_text() for path in WEB.rglob("*.html")}

    assert [name for name, page in pages.items() if re.search(r"(refused|problem)\.detail", page)] == []


@pytest.mark.parametrize(
    ("opens", "closes", "wrong"),
    [("8 Uhr", "12:00", "format"), ("08:00", "", "format"), ("12:00", "08:00", "order"), ("08:00", "08:00", "order")],
)
def test_hours_that_are_refused_say_what_is_wrong(opens, closes, wrong):
    form = Form({"opens_1": opens, "closes_1": closes}, {})
    read_week(form)

    assert form.errors == {"opens_1": f"form.hours_{wrong}"}


def test_the_highest_price_is_the_one_that_booking_takes_and_is_named():
    source = (ROOT / "services/booking/src/regiohub_booking/api/schemas/common.py").read_text()
    form = Form({"highest": "10000", "over": "10000.01"}, {})
    form.cents("over")

    assert f"le={form.cents('highest'):_}" in source
    assert form.errors == {"over": "form.money"}
    assert "10.000,00" in texts.text("de", "form.money")
    assert "10,000.00" in texts.text("en", "form.money")


@pytest.mark.parametrize(
    ("status", "minutes", "may"),
    [("confirmed", -61, False), ("confirmed", -60, True), ("confirmed", 119, True), ("confirmed", 120, False),
     ("held", 0, False), ("checked_in", 0, False), ("cancelled", 0, False)],
)  # fmt: skip
def test_the_check_in_button_shows_only_while_somebody_can_come(status, minutes, may):
    start = datetime(2026, 11, 25, 9, tzinfo=UTC)
    booking = {"status": status, "starts_at": start.isoformat(), "ends_at": "2026-11-25T11:00:00+00:00"}

    assert may_check_in(booking, start + timedelta(minutes=minutes)) is may


def test_no_place_is_called_a_desk_where_it_may_be_a_room():
    english = texts.catalogue("en")

    assert [key for key, text in english.items() if re.search(r"\b(the|this) desk\b", text, re.IGNORECASE)] == []


def test_the_paying_button_says_what_the_law_wants():
    assert texts.text("de", "pay.button") == "zahlungspflichtig buchen"


def test_local_times_that_do_not_exist_or_exist_twice_are_seen():
    with pytest.raises(moments.NoSuchTime):
        moments.local(date(2027, 3, 28), time(2, 30))
    with pytest.raises(moments.TwoSuchTimes) as two:
        moments.local(date(2026, 10, 25), time(2, 30))

    assert [moment.isoformat()[-6:] for moment in two.value.choices] == ["+02:00", "+01:00"]
    assert moments.local(date(2026, 7, 1), time(9)).isoformat() == "2026-07-01T09:00:00+02:00"


def test_lengths_are_real_minutes_over_a_change_of_clocks():
    start = moments.local(date(2026, 10, 25), time(1))

    assert moments.after(start, 180).strftime("%H:%M") == "03:00"


@pytest.mark.parametrize(("minute", "expected"), [(0, "10:30"), (29, "10:30"), (30, "11:00"), (59, "11:00")])
def test_the_next_half_hour(minute, expected):
    assert moments.next_step(datetime(2026, 11, 25, 9, minute, 5, tzinfo=UTC)).strftime("%H:%M") == expected


def test_times_read_as_people_write_them():
    start, end = datetime(2026, 11, 25, 8, tzinfo=UTC), datetime(2026, 11, 25, 23, tzinfo=UTC)

    assert moments.show_span(start, end, "de") == "Mi., 25.11.2026, 09:00–24:00"
    assert moments.show_date(start, "en") == "Wed 25 Nov 2026"


@pytest.mark.parametrize(
    ("written", "cents"), [("12", 1200), ("12,5", 1250), ("12.50", 1250), (" 0 ", 0), ("0,05", 5), ("4,50", 450)]
)
def test_euros_are_read_by_digits(written, cents):
    assert Form({"price": written}, {}).cents("price") == cents


@pytest.mark.parametrize("written", ["", "-1", "1,234", "1e3", "NaN", "٣", "1.2.3", "12 €", "9999999"])
def test_what_is_no_amount_is_an_error(written):
    form = Form({"price": written}, {})
    form.cents("price")

    assert form.errors == {"price": "form.money"}


def test_only_ids_and_slugs_become_parts_of_a_path():
    assert known_id("0193B3F0-0000-7000-8000-000000000001") == "0193b3f0-0000-7000-8000-000000000001"
    for bad in ("", "../x", "1", "a/b"):
        with pytest.raises(NotFound):
            known_id(bad)
    for bad in ("", "../x", "A", "a/b", "ü", "٣", "a" * 65):
        with pytest.raises(NotFound):
            known_slug(bad)


def test_front_end_files_are_locked_without_addresses_and_scripts():
    lock = (ROOT / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert vendor.locked_versions()["@kern-ux/native"] == "2.7.2"
    assert "ignore-scripts=true" in (ROOT / ".npmrc").read_text()


def test_a_half_copy_is_not_current(tmp_path):
    packages = tmp_path / "node_modules"
    for package, inside in vendor.FILES.values():
        (packages / package / inside).parent.mkdir(parents=True, exist_ok=True)
        (packages / package / inside).write_text("x")
    target = tmp_path / "vendor"

    vendor.copy(packages, {"a": "1"}, target)
    assert vendor.is_current({"a": "1"}, target)
    assert not vendor.is_current({"a": "2"}, target)
    (target / "qrcode.mjs").unlink()
    assert not vendor.is_current({"a": "1"}, target)
