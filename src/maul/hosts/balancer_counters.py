"""What a balancer's machine counts, all of it in one short command: sockets, TCP, connection tracking, nftables, cores.

The command runs *on* that machine, or in that namespace: `/proc/net` shows the network of whoever reads it, so reading
a file from outside would tell of our own network. It only reads, and needs nothing of ours there: a shell, grep and
awk; `ss` (iproute2) where there are many connections; `nft` for the counters of the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from maul.core.errors import MachineError
from maul.hosts.host import Host

SOCKETS, NFT, NFT_TROUBLE = "sockets", "nft", "nft-trouble"
OUTPUT_BYTES_MAX = 4 * 2**20

# Counts half-open connections here rather than to send thousands of lines, once per second. $1 state, $4 our address;
# `timer:(on,1sec,2)`: tried again twice. Those that we open ourselves (SYN-SENT) are told apart from those that come.
_AWK_SS = r"""
{ n = split($4, part, ":"); tries = 0
  if (match($0, /timer:\([^)]*\)/)) { split(substr($0, RSTART, RLENGTH - 1), timer, ","); tries = timer[3] + 0 }
  if ($1 == "LISTEN" && part[n] == port && !seen[$4]++ && listed++ < 64) print "sockets:LISTEN " $4
  if ($1 == "SYN-RECV" && part[n] == port) half++
  if ($1 == "SYN-RECV" && tries) theirs++
  if ($1 == "SYN-SENT" && tries) ours++ }
END { print "sockets:HALF " half + 0 " " theirs + 0 " " ours + 0 }
"""
# The same from /proc/net/tcp, where ss is missing: $2 our address, $4 state (0A listens, 03 SYN-RECV, 02 SYN-SENT),
# $7 how often it was tried again; all in hexadecimal.
_AWK_PROC = r"""
FNR > 1 { n = split($2, part, ":"); again = $7 !~ /^0*$/
  if ($4 == "0A" && part[n] == hex && !seen[$2]++ && listed++ < 64) print "sockets:LISTEN " $2
  if ($4 == "03" && part[n] == hex) half++
  if ($4 == "03" && again) theirs++
  if ($4 == "02" && again) ours++ }
END { print "sockets:HALF " half + 0 " " theirs + 0 " " ours + 0 }
"""
# $1 port, $2 family and $3 name of the table (may be empty), $4 and $5 the two programs above. Every line that comes
# out is `source:text`. Without root, nft is tried as it is, then by sudo if that asks for no password.
_SCRIPT = r"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin LC_ALL=C; export PATH LC_ALL
cd /proc || exit 1
grep -HE '^(cpu|Tcp:|TcpExt:|entries |[0-9a-f]{8} |[0-9]+$)' stat net/netstat net/snmp net/stat/nf_conntrack \
  sys/net/netfilter/nf_conntrack_count sys/net/netfilter/nf_conntrack_max 2>/dev/null
if command -v ss >/dev/null; then
  ss -Htno state listening state syn-recv state syn-sent 2>/dev/null | awk -v port="$1" "$4"
else
  awk -v hex="$(printf %04X "$1")" "$5" net/tcp net/tcp6 2>/dev/null
fi
[ -n "$2" ] || exit 0
list() { "$@" nft -j list counters table "$family" "$table" 2>&1; }
family=$2 table=$3
if says=$(list) || { [ "$(id -u)" != 0 ] && says=$(list sudo -n); }; then
  printf 'nft:%s\n' "$says"
else
  printf 'nft-trouble:%s\n' "$says" | head -n 1
fi
"""


@dataclass(frozen=True, slots=True)
class CounterQuestion:
    """`port` of the public address; `table`: family and name of the nftables table, None: there is none."""

    port: int
    table: str | None = None


def read_counters(host: Host, question: CounterQuestion, timeout_s: float) -> Mapping[str, list[str]]:
    """The lines by source: `stat`, `net/snmp`, … as below /proc, `sockets`, `nft`, `nft-trouble`.

    A source that the machine does not have is not in it. MachineError when the machine does not answer in time.
    """
    family, _, table = (question.table or "").partition(" ")
    words = (str(question.port), family, table, _AWK_SS, _AWK_PROC)
    done = host.run(("/bin/sh", "-c", _SCRIPT, "maul", *words), timeout_s)
    if done.timed_out:
        raise MachineError(f"its counters did not come within {timeout_s:g} s")
    if not done.stdout:
        says = done.stderr.decode(errors="replace").strip()[-200:]
        raise MachineError(f"no counters came: {says or f'the command ended with {done.code}'}")
    return _by_source(done.stdout[:OUTPUT_BYTES_MAX].decode(errors="replace"))


def _by_source(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        source, colon, content = line.partition(":")
        if colon:
            found.setdefault(source, []).append(content)
    return found
