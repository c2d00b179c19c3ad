"""The words of the hosted page, German and English."""

_GERMAN = {
    "lang": "de",
    "banner": "Sandkasten: Hier fließt kein Geld. Bitte keine echten Kartendaten verwenden.",
    "title": "Bezahlen (Sandkasten)",
    "heading": "Bezahlen",
    "what": "Was Sie bezahlen",
    "quantity": "Menge",
    "total": "Gesamt",
    "tax": "Alle Preise sind Bruttopreise.",
    "declined": "Die Karte wurde abgelehnt. Es wurde nichts abgebucht. Sie können es noch einmal versuchen.",
    "pay": "Bezahlen",
    "decline": "Karte ablehnen lassen",
    "cancel": "Abbrechen und zurück",
    "hint": "„Bezahlen“ tut so, als hätte die Testkarte 4242 bezahlt. „Karte ablehnen lassen“ zeigt, was bei einer "
    "abgelehnten Karte geschieht.",
    "paid_heading": "Bezahlt",
    "paid": "Diese Zahlung ist abgeschlossen.",
    "expired_heading": "Abgelaufen",
    "expired": "Diese Bezahlseite ist abgelaufen. Es wurde nichts abgebucht.",
    "back": "Zurück zum Anbieter",
    "gone_heading": "Nicht gefunden",
    "gone": "Diese Bezahlseite gibt es nicht.",
    "about_heading": "Stripe-Sandkasten von RegioHub",
    "about": "Dieser Dienst spielt auf diesem Rechner die Rolle von Stripe. Er nimmt kein Geld an und ist nie Teil "
    "eines echten Betriebs.",
}
_ENGLISH = {
    "lang": "en",
    "banner": "Sandbox: no money moves here. Please do not use real card data.",
    "title": "Pay (sandbox)",
    "heading": "Pay",
    "what": "What you pay for",
    "quantity": "Quantity",
    "total": "Total",
    "tax": "All prices include VAT.",
    "declined": "The card was declined. Nothing was charged. You can try again.",
    "pay": "Pay",
    "decline": "Have the card declined",
    "cancel": "Cancel and go back",
    "hint": "“Pay” acts as if the test card 4242 had paid. “Have the card declined” shows what happens when a card is "
    "declined.",
    "paid_heading": "Paid",
    "paid": "This payment is complete.",
    "expired_heading": "Expired",
    "expired": "This payment page has expired. Nothing was charged.",
    "back": "Back to the provider",
    "gone_heading": "Not found",
    "gone": "There is no such payment page.",
    "about_heading": "RegioHub's Stripe sandbox",
    "about": "This server plays the part of Stripe on this machine. It takes no money and is never part of a real "
    "installation.",
}


def texts(locale: str | None) -> dict[str, str]:
    """Return the words for a session's locale; German unless English is asked for."""
    return _ENGLISH if (locale or "").startswith("en") else _GERMAN
