"""What is made for a demo or a test takes nothing from an installation that the environment names."""

import os

import httpx
import pytest

from regiohub_local import plan, seed, throwaway

INSTALLATION = {
    "ADMIN_DATABASE_URL": "postgresql://admin@localhost/postgres",
    "BOOKING_DATABASE_URL": "postgresql://booking@localhost/booking",
    "GATEWAY_MIGRATE_DATABASE_URL": "postgresql://gateway@localhost/gateway",
    "BOOKING_MAIL_HOST": "mail.example",
    "ACCESS_PASS_ISSUER": "county",
    "REGIOHUB_KEYCLOAK_URL": "https://login.example",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/somewhere/root.crt",
    "PGHOST": "db.example",
    "STRIPE_API_KEY": "not-a-key",
    "STRIPE_WEBHOOK_SECRET": "not-a-secret",
}
OF_THE_MACHINE = {"REGIOHUB_CACHE": "/somewhere", "REGIOHUB_NOW": "2027-03-09T09:40:00+01:00", "CHROMIUM": "/bin/true"}


def test_it_forgets_the_installation_and_keeps_the_machine(monkeypatch, tmp_path):
    for name, value in (INSTALLATION | OF_THE_MACHINE).items():
        monkeypatch.setenv(name, value)

    throwaway.stand_alone()

    assert INSTALLATION.keys() & os.environ.keys() == set()
    assert {name: os.environ[name] for name in OF_THE_MACHINE} == OF_THE_MACHINE
    house = plan.make_house(tmp_path / "run", prefer={})
    assert house.has_sandbox
    assert house.keycloak_origin.startswith("http://localhost:")


@pytest.mark.parametrize("name", ["STRIPE_API_KEY", "BILLING_STRIPE_API_KEY"])
def test_either_name_of_a_stripe_key_leaves_the_sandbox_out(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "not-a-key")
    house = plan.make_house(tmp_path / "run", prefer={})
    env = plan.service_env(house, "billing", "postgresql://billing@localhost/billing")
    assert not house.has_sandbox
    assert env[name] == "not-a-key"
    assert "BILLING_STRIPE_API_BASE" not in env
    assert "GATEWAY_CHECKOUT_ORIGIN" not in plan.service_env(house, "gateway", "postgresql://gateway@localhost/gateway")


async def test_seeding_a_house_that_does_not_run_ends_in_one_line(tmp_path):
    house = plan.make_house(tmp_path / "run", prefer={})
    with pytest.raises(seed.SeedError, match="`make run` starts the house") as refused:
        await seed.run(house)
    assert isinstance(refused.value.__cause__, httpx.TransportError)
    assert "\n" not in str(refused.value)
