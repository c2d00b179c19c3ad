"""The page's words, German and English, and every reason the reader can give."""

from collections.abc import Mapping

REASONS: Mapping[str, tuple[str, str]] = {
    "granted": ("Die Buchung passt zu Tür und Zeit.", "The booking fits this door and time."),
    "malformed": ("Das ist kein gültiger RegioHub-Türschlüssel.", "This is not a valid RegioHub door key."),
    "unknown_key": (
        "Das Lesegerät kennt den Aussteller-Schlüssel nicht.",
        "The reader does not know the issuer's key.",
    ),
    "tampered": ("Der Türschlüssel wurde verändert.", "The door key was tampered with."),
    "foreign_issuer": ("Der Türschlüssel stammt aus einem anderen System.", "The door key is from another system."),
    "wrong_holder_key": (
        "Der Code wurde nicht vom Telefon der Buchung gezeichnet.",
        "The code was not signed by the phone of the booking.",
    ),
    "foreign_hub": ("Der Türschlüssel gilt für einen anderen Standort.", "The door key is for another hub."),
    "wrong_door": ("Der Türschlüssel gilt nicht für diese Tür.", "The door key is not for this door."),
    "not_yet_valid": ("Die Buchung hat noch nicht begonnen.", "The booking has not begun yet."),
    "expired": ("Die Zeit der Buchung ist abgelaufen.", "The time of the booking is over."),
    "revoked": ("Die Berechtigung wurde widerrufen.", "The right to enter was revoked."),
    "replayed": ("Dieser Code wurde schon benutzt.", "This code has been used already."),
    "stale": ("Der Code ist zu alt. Bitte einen frischen zeigen.", "The code is too old. Please show a fresh one."),
    "clock": ("Eine Uhr geht falsch (Lesegerät oder Telefon).", "A clock is wrong (reader or phone)."),
    "pin_unknown": ("Diese PIN ist hier nicht bekannt.", "This PIN is not known here."),
    "pin_paused": (
        "Zu viele falsche PINs: Das Tastenfeld macht Pause. Der QR-Code geht weiter.",
        "Too many wrong PINs: the keypad pauses. The QR code still works.",
    ),
    "unknown_door": ("Diese Tür gehört nicht zu diesem Lesegerät.", "This door is not one of this reader."),
    "reader_fault": (
        "Das Lesegerät konnte die Entscheidung nicht speichern.",
        "The reader could not store the decision.",
    ),
    # What the page itself has to say: nothing reached the reader.
    "no_code": ("Im Bild wurde kein QR-Code gefunden.", "No QR code was found in the picture."),
    "no_picture": ("Die Datei ist kein lesbares Bild oder zu groß.", "The file is no readable picture or too large."),
    "nothing": ("Es wurde nichts vorgezeigt.", "Nothing was shown."),
    "reader_away": ("Das Lesegerät antwortet nicht.", "The reader does not answer."),
}
_WORDS: Mapping[str, tuple[str, str]] = {
    "lang": ("de", "en"),
    "other_lang": ("en", "de"),
    "other": ("English", "Deutsch"),
    "banner": (
        "Simulierte Tür: Diese Seite ersetzt die Technik an der Tür.",
        "Simulated door: this page stands in for the hardware at the door.",
    ),
    "title": ("Lesegerät", "Reader"),
    "choose": ("Tür wählen", "Choose a door"),
    "no_doors": (
        "Das Lesegerät kennt noch keine Türen: Es hat noch nicht abgeglichen.",
        "The reader knows no doors yet: it has not synced.",
    ),
    "door": ("Tür", "Door"),
    "allowed": ("Offen", "Open"),
    "denied": ("Bleibt zu", "Stays shut"),
    "error": ("Nicht gelesen", "Not read"),
    "upload": ("Bild des QR-Codes zeigen", "Show a picture of the QR code"),
    "file": ("Bildschirmfoto (PNG, JPEG oder WebP)", "Screenshot (PNG, JPEG or WebP)"),
    "upload_go": ("Bild vorzeigen", "Show the picture"),
    "camera": ("Kamera", "Camera"),
    "camera_start": ("Kamera starten", "Start the camera"),
    "camera_stop": ("Kamera anhalten", "Stop the camera"),
    "camera_on": ("Die Kamera sucht einen QR-Code …", "The camera looks for a QR code …"),
    "camera_off": ("Die Kamera ist nicht verfügbar.", "The camera is not available."),
    "camera_view": ("Bild der Kamera", "The camera's picture"),
    "paste": ("Text des QR-Codes einfügen", "Paste the text of the QR code"),
    "paste_label": ("Text (beginnt mit RH1:)", "Text (begins with RH1:)"),
    "paste_go": ("Text vorzeigen", "Show the text"),
    "pin": ("PIN eintippen", "Type a PIN"),
    "pin_label": ("PIN", "PIN"),
    "pin_go": ("PIN prüfen", "Check the PIN"),
    "state": ("Zustand des Lesegeräts", "State of the reader"),
    "last_sync": ("Letzter Abgleich", "Last sync"),
    "never": ("noch nie", "never"),
    "sync_error": ("Abgleich gestört", "Sync disturbed"),
    "clock_off": ("Uhr geht falsch", "The clock is wrong"),
    "yes": ("ja", "yes"),
    "no": ("nein", "no"),
    "pending": ("Noch nicht gemeldete Ereignisse", "Events not yet reported"),
    "pins": ("Gespeicherte PINs", "PINs stored"),
    "log": ("Protokoll des Lesegeräts", "The reader's log"),
    "log_empty": ("Noch keine Ereignisse.", "No events yet."),
    "when": ("Zeit", "Time"),
    "how": ("Womit", "By"),
    "kind_pass": ("QR", "QR"),
    "kind_pin": ("PIN", "PIN"),
    "decision": ("Entscheidung", "Decision"),
    "reason": ("Grund", "Reason"),
    "refresh": ("Neu laden", "Reload"),
}


def texts(lang: str) -> dict[str, str]:
    """Return the page's words; German for any language but English."""
    index = 1 if lang == "en" else 0
    return {name: pair[index] for name, pair in _WORDS.items()}


def reason_text(reason: str, lang: str) -> str:
    """Return a sentence for the reader's reason; a reason unknown here is shown as it is."""
    return REASONS.get(reason, (reason, reason))[1 if lang == "en" else 0]
