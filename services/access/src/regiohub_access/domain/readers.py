"""Who may speak for a reader and what it may be told."""

from regiohub_shared.problem import Conflict, Forbidden, NotFound


class ReaderNotFound(NotFound):
    """No reader is registered under this client."""

    type, title = "reader-not-found", "There is no such reader"


class ReaderMismatch(Forbidden):
    """A reader may only synchronise as itself."""

    type, title = "reader-mismatch", "This token belongs to another reader"


class ForeignHub(Forbidden):
    """A reader speaks for the hub it is registered at, and for no other."""

    type, title = "foreign-hub", "This reader belongs to another hub"


class HubNotFound(NotFound):
    """No doors are known for this hub."""

    type, title = "hub-not-found", "There is no such hub"


class ReaderMoved(Conflict):
    """The reader has events of another hub; register the new place under a client of its own."""

    type, title = "reader-moved", "This reader already served another hub"
