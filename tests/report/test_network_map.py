"""The network map: what is drawn is what the site and the plan say, at every size, and it is sound XML."""

# ruff: noqa: E501 (tables stand here whole)

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from maul import site
from maul.plan.fleet_model import FleetPlan
from maul.report import network_map
from maul.report.network_heat import OVERFULL, STEPS, Heat
from maul.report.network_svg import Lane, Spot

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/sites/three-racks.yaml"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def place():
    return site.load(EXAMPLE)


def drawn(text):
    """Every word, and every title with the colour of the element that carries it."""
    root = ET.fromstring(text)
    titles = {}
    for element in root.iter():
        for title in element.findall(f"{SVG}title"):
            titles[title.text.splitlines()[0]] = (
                element.get("stroke") if element.get("fill") == "none" else element.get("fill")
            )
    return [element.text for element in root.iter(f"{SVG}text")], titles


def large(racks, hosts):
    """A site of racks with so many hosts each, below four spines."""
    lines = [
        "version: 1",
        "name: large",
        "kind: real",
        f"racks: [{', '.join(f'r{r}' for r in range(racks))}]",
        "hosts:",
    ]
    lines += [
        f"  - {{name: r{r}-h{h}, address: 10.0.{r}.{h}, rack: r{r}{', borrow: {}' if r > 0 and h < 3 else ''}}}"
        for r in range(racks)
        for h in range(hosts)
    ]
    lines += ["services: [{name: g, role: gateway, host: r0-h0}]"]
    lines += ['endpoints: [{name: s3, kind: gateway, url: "http://10.0.0.0", serves: [g]}]', "network:", "  switches:"]
    lines += [f"    - {{name: spine-{s}, tier: spine}}" for s in range(4)] + [
        f"    - {{name: tor-{r}, rack: r{r}}}" for r in range(racks)
    ]
    lines += ["  links:"]
    lines += [
        f'    - {{between: ["tor-{r}:u{s}", "spine-{s}:d{r}"], capacity: 100Gbit/s, background: {{out: {r % 90}Gbit/s}}}}'
        for r in range(racks)
        for s in range(4)
    ]
    lines += [
        f'    - {{between: [r{r}-h{h}, "tor-{r}:p{h}"], capacity: 25Gbit/s}}'
        for r in range(racks)
        for h in range(hosts)
    ]
    return site.parse("\n".join(lines))


def test_every_switch_host_and_direction_of_a_small_site_is_there(place):
    words, titles = drawn(network_map.draw(place))
    for host in place.hosts:
        assert host.name in words
    for switch in place.network.switches:
        assert switch.name in words
    for arc in site.topology.arcs(place.network).values():
        assert f"{arc.source_port} → {arc.target_port}" in titles or arc.source.startswith(
            ("load", "shop", "lb", "store")
        )
    assert "may be borrowed (4)" in words
    assert "of the target (5)" in words
    assert "of a customer (2)" in words


def test_colour_is_heat(place):
    name = "tor-r1:eth49>spine-1:eth1"
    for part, colour in ((0.1, STEPS[0][1]), (0.55, STEPS[2][1]), (0.99, STEPS[4][1]), (1.2, OVERFULL)):
        heat = {name: Heat(100e9, 0.0, part * 100e9)}
        _, titles = drawn(network_map.draw(place, heat))
        assert titles["tor-r1:eth49 → spine-1:eth1"] == colour
        assert titles["spine-1:eth1 → tor-r1:eth49"] == STEPS[1][1]  # 34 % of others, as the site says


def test_a_plan_colours_the_map(place):
    link = {"name": "spine-1:eth1>tor-r1:eth49", "capacity_bps": 100e9, "background_bps": 34e9, "shared": True, "cap": 0.6,
            "ours_bps": 31e9, "worst_bps": 88e9, "worst_when": "switch spine-2", "up": {}, "down": {}}  # fmt: skip
    sender = {
        "name": "load-r1-1",
        "host": "load-r1-1",
        "rack": "r1",
        "first": 0,
        "width": 1,
        "load": {},
        "requests_ceiling_per_s": None,
    }
    plan = FleetPlan.model_validate({"wheel": 1, "generators": [sender], "links": [link], "load": {}})
    heat = network_map.utilisation_of(plan)
    assert heat[link["name"]].percent == "65 %"
    assert heat[link["name"]].over_cap
    words, titles = drawn(network_map.draw(place, heat, network_map.generators_of(plan)))
    assert titles["spine-1:eth1 → tor-r1:eth49"] == STEPS[3][1]
    assert "sends load (1)" in words
    assert "may be borrowed (3)" in words
    assert "88 %: switch spine-2" in words
    assert words[words.index("spine-1:eth1 → tor-r1:eth49") + 1] == "65 %"  # the fullest comes first


def test_a_large_site_counts_and_has_a_grid():
    text = network_map.draw(large(40, 25))
    words, titles = drawn(text)
    assert "r7-h3" not in words
    assert "r7: 25 hosts (3 may be borrowed, 22 other)" in titles
    cells = [title for title in titles if title.startswith("tor-") and "spine" in title]
    assert len(cells) == 160
    assert titles["tor-39:u3 → spine-3:d39"] == STEPS[1][1]
    assert titles["spine-3:d39 → tor-39:u3"] == STEPS[0][1]
    assert len(text) < 400_000


@pytest.mark.parametrize(("racks", "hosts"), [(1, 1), (9, 8), (11, 1), (1, 200), (120, 2)])
def test_nothing_stands_outside_the_page(racks, hosts):
    root = ET.fromstring(network_map.draw(large(racks, hosts)))
    width, height = (float(root.get(key)) for key in ("width", "height"))
    for element in root.iter(f"{SVG}rect"):
        x, y = (float(element.get(key, 0)) for key in ("x", "y"))
        assert -0.1 <= x <= x + float(element.get("width")) <= width + 0.1
        assert -0.1 <= y <= y + float(element.get("height")) <= height + 0.1
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x")) <= width
        assert 0 <= float(element.get("y")) <= height


def test_what_people_wrote_cannot_break_out():
    text = EXAMPLE.read_text(encoding="utf-8").replace(
        "owner: the web shop", 'owner: "<script>alert(1)</script>&\\x01"'
    )
    text = text.replace("shared_by: [all customers]", 'shared_by: ["</title><script/>"]')
    made = network_map.draw(site.parse(text))
    assert "<script" not in made
    assert ET.fromstring(made) is not None


def test_it_needs_nothing_from_elsewhere(place):
    made = network_map.draw(place)
    assert re.findall(r"https?://[^\"' <]+", made) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in made


def test_who_sends_keeps_right():
    down = Lane(Spot(0, 0), Spot(0, 100), 5)
    up = Lane(Spot(0, 100), Spot(0, 0), 5)
    assert down.at(0.5).x == -5  # going down the page, right is where x is smaller
    assert up.at(0.5).x == 5


def test_a_site_without_a_network_has_no_map():
    text = EXAMPLE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="has no map"):
        network_map.draw(site.parse(text[: text.index("\nnetwork:")]))
