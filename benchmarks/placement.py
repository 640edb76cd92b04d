"""How long the placement of a load takes on a large network: a three-tier Clos with every single failure looked at.

python benchmarks/placement.py [--servers 10000] [--pods 25] [--leaves 10] [--spines 4] [--cores 10]
"""

import argparse
import resource
import time

from maul.campaign.model_fleet import Fleet
from maul.plan.fleet_model import Load
from maul.plan.placement import Demand, place
from maul.site import Site

GBIT = 1e9


def clos(servers: int, pods: int, leaves: int, spines: int, cores: int) -> Site:
    """Pods of leaves and spines; each spine leads to `cores` cores of its plane. The target stands in pod 0."""
    switches, links = [], []
    for plane in range(spines):
        switches += [{"name": f"core-{plane}-{core}", "tier": "core"} for core in range(cores)]
    for pod in range(pods):
        for spine in range(spines):
            switches.append({"name": f"spine-{pod}-{spine}", "tier": "spine"})
            links += [
                link(f"spine-{pod}-{spine}:u{core}", f"core-{spine}-{core}:p{pod}", 100 * GBIT, 10 * GBIT)
                for core in range(cores)
            ]
        for leaf in range(leaves):
            switches.append({"name": f"leaf-{pod}-{leaf}", "rack": f"rack-{pod}-{leaf}"})
            links += [
                link(f"leaf-{pod}-{leaf}:u{spine}", f"spine-{pod}-{spine}:d{leaf}", 100 * GBIT, 20 * GBIT)
                for spine in range(spines)
            ]
    racks = [f"rack-{pod}-{leaf}" for pod in range(pods) for leaf in range(leaves)]
    hosts, balancers = [], []
    for number in range(8):
        name = f"lb-{number}"
        balancers.append(name)
        rack = number % 4
        hosts.append({"name": name, "address": f"10.255.0.{number + 1}", "rack": racks[rack]})
        links.append(link(f"{name}:eth0", f"leaf-0-{rack}:t{number}", 100 * GBIT, 0.0))
    for number in range(servers):
        rack = racks[number % len(racks)]
        name = f"gen-{number}"
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        hosts.append(
            {
                "name": name,
                "address": address,
                "rack": rack,
                "nics": [{"name": "eth0", "speed": 25 * GBIT}],
                "borrow": {"requests": 20_000, "new_connections": 2000},
            }
        )
        links.append(link(f"{name}:eth0", f"leaf-{rack[5:]}:h{number}", 25 * GBIT, 1 * GBIT))
    return Site.model_validate(
        {
            "version": 1,
            "name": "clos",
            "kind": "real",
            "racks": racks,
            "hosts": hosts,
            "services": [{"name": f"proxy-{n}", "role": "balancer", "host": lb} for n, lb in enumerate(balancers)],
            "endpoints": [{"name": "s3", "kind": "balancer", "url": "https://s3.example", "serves": ["proxy-0"]}],
            "network": {
                "switches": switches,
                "links": links,
                "vips": [{"name": "vip", "address": "10.255.1.1", "endpoint": "s3", "hosts": balancers}],
            },
        }
    )


def link(first: str, second: str, capacity: float, background: float) -> dict[str, object]:
    shared = () if first.startswith(("gen", "lb")) else ("customers",)
    return {
        "between": [first, second],
        "capacity": capacity,
        "background": {"out": background, "back": background / 2},
        "shared_by": shared,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for key, value in (("servers", 10_000), ("pods", 25), ("leaves", 10), ("spines", 4), ("cores", 10)):
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--gbit", type=float, default=150.0, help="what the target shall answer")
    wanted = parser.parse_args()
    began = time.perf_counter()
    site = clos(wanted.servers, wanted.pods, wanted.leaves, wanted.spines, wanted.cores)
    print(f"site read and checked: {time.perf_counter() - began:.1f} s")
    bits = wanted.gbit * GBIT
    demand = Demand(Load(requests_per_s=bits / 8e6, sent_bps=bits / 4, received_bps=bits), 1e6, 20_000, 20_000, ("s3",))
    began, cpu = time.perf_counter(), time.process_time()
    plan = place(site, Fleet(rack_share="10%"), demand)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fabric = sum(not one.between[0].startswith(("gen", "lb")) for one in site.network.links)
    print(
        f"{wanted.servers} servers × {fabric} links, N-1: {wall:.1f} s ({cpu:.1f} s of CPU), {peak:.0f} MiB at most; "
        f"{len(plan.generators)} servers chosen, {len(plan.links)} directions carry load"
    )
    most = plan.most.requests_per_s / demand.load.requests_per_s if plan.most else float("inf")
    print(f"the most is {most:.3g} times what was asked")
    for blocker in plan.blockers[:5]:
        print(f"  {blocker.price:.4g} requests/s for one more {blocker.unit}: {blocker.what}")


if __name__ == "__main__":
    main()
