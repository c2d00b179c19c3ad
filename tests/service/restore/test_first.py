from pathlib import Path

from tests.support.pg import Cluster
from tests.support.restoring import back_up, elsewhere
from tests.support.world_street import Street, street_on


async def test_simple(town: Street, cluster: Cluster, sandbox_origin: str, tmp_path: Path):
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    made = back_up(town, tmp_path / "backup")
    with elsewhere(cluster, town, sandbox_origin, tmp_path / "else") as new:
        new.load(tmp_path / "backup")
        new.reconcile(made.began_at)
        async with street_on(new.urls, sandbox_origin) as restored:
            restored.by = town.by
            await restored.deliver()
            print(await restored.read(booking))
            said, well = new.examine()
            print(said)
            assert well
