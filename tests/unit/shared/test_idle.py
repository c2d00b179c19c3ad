"""How long connections are kept, on both ends."""

from regiohub_shared.http.client import IDLE_S
from regiohub_shared.web.server import KEEP_ALIVE_S


def test_our_clients_give_a_connection_up_well_before_our_servers_do():
    """Else a request is written on a connection that is just being closed, and a booking is lost on the way."""
    assert IDLE_S * 2 < KEEP_ALIVE_S
