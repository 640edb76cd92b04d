"""What kernels print, of several versions: counts come by name, and what is broken is told, not guessed."""

import json

import pytest

from maul.probes.balancer_kernel import KernelCounts

# 4.18 (RHEL 8): "searched" and "delete_list" in the table of connection tracking, no TCPSynRetrans by position 102
STAT_418 = [
    "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  "
    "expect_new expect_create expect_delete search_restart",
    "00000bb8  00000000 00000012 00000000 00000a11 0001f2aa 00000000 00000000 00000000 00000000 00000010 00000003 "
    "00000000  00000000 00000000 00000000 00000000",
    "00000bb8  00000000 00000007 00000000 00000b00 0001f2ab 00000000 00000000 00000000 00000000 0000000f 00000000 "
    "00000000  00000000 00000000 00000000 00000000",
]
# 5.15 (Ubuntu 22.04) and later
STAT_515 = [
    "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  "
    "expect_new expect_create expect_delete search_restart",
    "00000004  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 000000ff 00000000 "
    "00000000  00000000 00000000 00000000 00000000",
]
SNMP = [
    "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs "
    "OutSegs RetransSegs InErrs OutRsts InCsumErrors",
    "Tcp: 1 200 120000 -1 4711 1123 12 34 56 99999 88888 77 0 345 0",
]
NETSTAT_310 = [  # 3.10 (RHEL 7): names that later kernels moved
    "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts ListenOverflows ListenDrops TCPTimeouts "
    "TCPReqQFullDoCookies TCPReqQFullDrop TCPSynRetrans",
    "TcpExt: 0 0 0 3 17 19 200 0 0 41",
]
NETSTAT_66 = [  # 6.6: new names before and after
    "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled ListenOverflows ListenDrops "
    "TCPTimeouts TCPReqQFullDrop TCPSynRetrans TCPOrigDataSent TCPAORequired",
    "TcpExt: 0 0 0 3 0 5 6 200 0 7 123456 0",
]
CORES = ["cpu  10 0 10 80 0 0 0 0 0 0", "cpu0 5 0 5 40 0 0 0 0 0 0", "cpu1 5 0 5 40 0 0 0 0 0 0"]
NFT = {
    "nftables": [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        *(
            {"counter": {"family": "inet", "name": name, "table": "maul_watch", "packets": packets, "bytes": size}}
            for name, packets, size in (("vip_in", 1000, 64000), ("vip_syn", 7, 420), ("vip_out", 900, 1_000_000))
        ),
    ]
}


@pytest.mark.parametrize(("netstat", "overflows", "again"), [(NETSTAT_310, 17, 41), (NETSTAT_66, 5, 7)])
@pytest.mark.parametrize(("stat", "drops"), [(STAT_418, 0x10 + 0x0F), (STAT_515, 0xFF)])
def test_counts_come_by_name_whatever_the_kernel_prints_beside_them(netstat, overflows, again, stat, drops):
    counts = KernelCounts.of({
        "net/netstat": netstat, "net/snmp": SNMP, "net/stat/nf_conntrack": stat, "stat": CORES,
        "sys/net/netfilter/nf_conntrack_count": ["3000"], "sys/net/netfilter/nf_conntrack_max": ["262144"],
        "nft": [json.dumps(NFT)], "sockets": ["LISTEN 0.0.0.0:443", "HALF 12 3 1"],
    })  # fmt: skip
    assert (counts.accept_overflows, counts.syn_retransmits, counts.resets_sent) == (overflows, again, 345)
    assert (counts.tracked, counts.tracked_max, counts.tracked_drops) == (3000, 262144, drops)
    assert counts.packets == {"vip_in": (1000, 64000), "vip_syn": (7, 420), "vip_out": (900, 1_000_000)}
    assert counts.sockets is not None
    assert (counts.sockets.received, counts.sockets.theirs_part) == (12, 0.75)
    assert set(counts.ticks) == {"all", "core0", "core1"}
    assert counts.trouble == {}


def test_a_machine_that_tells_nothing_is_not_a_machine_at_rest():
    assert KernelCounts.of({}) == KernelCounts()


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("net/netstat", ["TcpExt: A B", "TcpExt: 1"]),
        ("net/netstat", ["TcpExt: A B"]),
        ("net/snmp", ["Tcp: A", "Tcp: many"]),
        ("net/stat/nf_conntrack", ["entries found", "00 00"]),
        ("net/stat/nf_conntrack", ["entries drop", "00"]),
        ("net/stat/nf_conntrack", ["entries drop", "00 zz"]),
        ("sys/net/netfilter/nf_conntrack_count", ["x"]),
        ("nft", ["{"]),
        ("nft", ["[]"]),
        ("nft", ['{"nftables": [{"counter": {"name": "vip_in"}}]}']),
        ("nft", ['{"nftables": 5}']),
        ("sockets", ["HALF 1 2"]),
        ("sockets", ["LISTEN ", "HALF 1 2 3"]),
        ("stat", ["cpu 1 2 3"]),
    ],
)
def test_what_is_broken_is_told_and_spoils_nothing_else(source, lines):
    good = {"net/snmp": SNMP, "sockets": ["HALF 1 0 0"]}
    counts = KernelCounts.of({**good, source: lines})
    assert len(counts.trouble) == 1
    if source != "net/snmp":
        assert counts.resets_sent == 345
    if source != "sockets":
        assert counts.sockets is not None


def test_a_reading_that_broke_off_says_nothing_of_sockets():
    assert KernelCounts.of({"sockets": ["LISTEN 0.0.0.0:443"]}).sockets is None


@pytest.mark.parametrize(
    ("listener", "address", "expected"),
    [
        ("0.0.0.0:443", "198.51.100.10", True),
        ("*:443", "198.51.100.10", True),
        ("[::]:443", "2001:db8::1", True),
        ("198.51.100.10:443", "198.51.100.10", True),
        ("198.51.100.10%eth0:443", "198.51.100.10", True),
        ("10.77.0.1:443", "198.51.100.10", True),  # behind a router that rewrites addresses
        ("00000000:01BB", "198.51.100.10", True),  # from /proc/net/tcp
        ("127.0.0.1:443", "198.51.100.10", False),
        ("[::1]:443", "198.51.100.10", False),
        ("[::ffff:127.0.0.1]:443", "198.51.100.10", False),
        ("127.0.0.1:443", "127.0.0.1", True),
    ],
)
def test_who_listens_on_loopback_alone_does_not_listen_for_the_world(listener, address, expected):
    counts = KernelCounts.of({"sockets": [f"LISTEN {listener}", "HALF 0 0 0"]})
    assert counts.sockets is not None
    assert counts.sockets.listens(address) is expected


def test_what_nft_complains_of_is_passed_on():
    counts = KernelCounts.of({"nft-trouble": ["Operation not permitted (you must be root)"]})
    assert counts.trouble == {"nft": "Operation not permitted (you must be root)"}
