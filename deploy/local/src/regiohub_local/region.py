"""The demo region: the county's five hubs with **invented** rooms, prices and tax numbers.

Identifiers are derived from names (UUID version 5), so that seeding twice changes nothing.
"""

from dataclasses import dataclass
from uuid import UUID, uuid5

_NAMESPACE = UUID("6f0f2a3e-7c55-5d61-9a51-0c2a9d0f10a7")
MARK = "Beispieldaten: Räume und Preise sind erfunden."


def resource_id(hub: str, name: str) -> UUID:
    """Return the id that a demo resource always has."""
    return uuid5(_NAMESPACE, f"{hub}/{name}")


@dataclass(frozen=True, slots=True)
class DemoResource:
    """A room or desk; ``cents_per_hour`` is gross; a whole names its parts."""

    name: str
    kind: str
    cents_per_hour: int
    description: str = ""
    parts: tuple[str, ...] = ()
    buffer_minutes: int = 0


@dataclass(frozen=True, slots=True)
class DemoDoor:
    """A door; an outer one belongs to every booking of the hub."""

    number: int
    name: str
    opens: tuple[str, ...] = ()

    @property
    def is_outer(self) -> bool:
        """Outer doors name no resource."""
        return not self.opens


@dataclass(frozen=True, slots=True)
class DemoHub:
    """A hub, its operator and what it holds; ``hours`` are (weekday 1–7, opens, closes) in wall time."""

    slug: str
    name: str
    operator: str
    operator_name: str
    street: str
    postcode: str
    city: str
    door_hint: str
    hours: tuple[tuple[int, str, str], ...]
    resources: tuple[DemoResource, ...]
    doors: tuple[DemoDoor, ...]


_DAYTIME = tuple((day, "08:00", "18:00") for day in range(1, 6))
_LONG = tuple((day, "06:00", "22:00") for day in range(1, 8))
_ALWAYS = tuple((day, "00:00", "24:00") for day in range(1, 8))


def _desks(count: int, cents: int) -> tuple[DemoResource, ...]:
    return tuple(DemoResource(f"Schreibtisch {number}", "desk", cents) for number in range(1, count + 1))


HUBS: tuple[DemoHub, ...] = (
    DemoHub(
        "polch", "RegioHub Polch @Viedel", "stadt-polch", "Stadt Polch (Beispiel)", "Bachstraße", "56751", "Polch",
        "Haupteingang des ehemaligen Krankenhauses, Lesegerät rechts neben der Tür", _LONG,
        (
            *_desks(4, 200),
            DemoResource("Foyer links", "event-space", 1500, "Bestuhlt 30 Personen", buffer_minutes=30),
            DemoResource("Foyer rechts", "event-space", 1500, "Bestuhlt 30 Personen", buffer_minutes=30),
            DemoResource("Foyer ganz", "event-space", 2500, "Bestuhlt 60 Personen", ("Foyer links", "Foyer rechts"), 30),
        ),
        (DemoDoor(1, "Haupteingang"), DemoDoor(2, "Foyer", ("Foyer links", "Foyer rechts", "Foyer ganz"))),
    ),
    DemoHub(
        "rieden", "RegioHub Rieden Altes Pfarrhaus", "og-rieden", "Ortsgemeinde Rieden (Beispiel)", "Kirchstraße",
        "56745", "Rieden", "Eingang am Pfarrgarten, Lesegerät links neben der Tür", _DAYTIME,
        (*_desks(3, 150), DemoResource("Besprechungsraum", "room", 800, "Für 8 Personen", buffer_minutes=15)),
        (DemoDoor(1, "Eingang"), DemoDoor(2, "Besprechungsraum", ("Besprechungsraum",))),
    ),
    DemoHub(
        "andernach", "RegioHub Andernach Stadthausgalerie", "stadt-andernach", "Stadt Andernach (Beispiel)",
        "Stadthausgalerie", "56626", "Andernach", "Eingang in der Galerie, Lesegerät am Pfosten", _LONG,
        (
            *_desks(6, 250),
            DemoResource("Seminarraum", "room", 1800, "Für 20 Personen, Beamer", buffer_minutes=15),
            DemoResource("Telefonkabine", "booth", 300),
        ),
        (DemoDoor(1, "Galerie"), DemoDoor(2, "Seminarraum", ("Seminarraum",))),
    ),
    DemoHub(
        "bendorf", "RegioHub Bendorf Ideenkino", "stadt-bendorf", "Stadt Bendorf (Beispiel)", "Poststraße 10", "56170",
        "Bendorf", "Kinoeingang an der Poststraße, Lesegerät unter dem Vordach", _ALWAYS,
        (
            *_desks(8, 200),
            DemoResource("Werkstattraum", "room", 1200, "Für 12 Personen, Werkbänke", buffer_minutes=15),
            DemoResource("Lesenische", "desk", 0, "Kostenfrei"),
        ),
        (DemoDoor(1, "Kinoeingang"), DemoDoor(2, "Werkstattraum", ("Werkstattraum",))),
    ),
    DemoHub(
        "mayen", "RegioHub Mayen MakerSpace", "stadt-mayen", "Stadt Mayen (Beispiel)", "Göbelstraße", "56727", "Mayen",
        "Ladentür, Lesegerät rechts neben dem Schaufenster", _LONG,
        (*_desks(4, 200), DemoResource("MakerSpace", "room", 1500, "3-D-Druck und Robotik", buffer_minutes=15)),
        (DemoDoor(1, "Ladentür"), DemoDoor(2, "MakerSpace", ("MakerSpace",))),
    ),
)  # fmt: skip
