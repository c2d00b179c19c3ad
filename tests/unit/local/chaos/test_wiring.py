"""Programs reach each other over wires only; what people see stays as it is."""

import asyncio

from regiohub_local import plan
from regiohub_local.chaos.links import Links
from regiohub_local.chaos.wiring import rewire


async def test_every_address_of_a_peer_leads_over_a_wire_of_its_own(tmp_path):
    house = plan.make_house(tmp_path, prefer={})
    port = house.ports["postgres"]
    urls = {name: f"postgresql://{name}_app:x@127.0.0.1:{port}/regiohub_{name}" for name in plan.DATABASES}
    links = Links()
    try:
        wired = await asyncio.to_thread(rewire, house, links, plan.programs(house, urls))
        programs = {program.name: program for program in wired}

        own = {str(link.target) for link in links.all}
        booking, worker, gateway = (programs[name] for name in ("booking", "booking-worker", "gateway"))
        for name in ("BOOKING_DATABASE_URL", "BOOKING_ACCESS_URL", "BOOKING_BILLING_URL", "BOOKING_KEYCLOAK_URL"):
            assert not any(f":{target}" in booking.env[name] for target in own)
            assert booking.env[name] != worker.env[name]
        assert booking.env["BOOKING_ISSUER"] == house.issuer
        assert gateway.env["GATEWAY_PUBLIC_ORIGIN"] == house.origin
        assert gateway.port != house.ports["gateway"]
        assert f":{gateway.port}/" in gateway.ready
        assert {link.name: link.target for link in links.all}["world → gateway"] == gateway.port
        assert len({link.name for link in links.all}) == len(links.all)
    finally:
        await links.close()
