"""How a command line gets into the namespaces that another process holds open. Pure text.

`nsenter` finds them by pid alone. A pid may be somebody else's tomorrow, so the start time of the holder is compared
*after* entering: if it still is the holder then, it was the holder when the door was opened.
"""

from pathlib import Path

from maul.hosts.host import ProcessId

GONE_CODE = 125
GONE_WORDS = "maul: nobody holds these namespaces any more"

# In the caller's namespaces. A process cannot join the user namespace that it is in already (EINVAL).
_OUTSIDE = r"""
[ -e "/proc/$2/ns/net" ] || { echo "$GONE" >&2; exit 125; }
if [ /proc/self/ns/user -ef "/proc/$2/ns/user" ]; then user=; else user="--user --preserve-credentials"; fi
inside=$1; shift
exec nsenter --target "$1" $user --net --mount -- /bin/sh -c "$inside" maul "$@"
"""

# In the holder's namespaces: $1 pid, $2 start ticks, $3 working directory, then the command.
_INSIDE = r"""
pid=$1 ticks=$2 place=$3; shift 3
same() { shift 19 && [ "$1" = "$ticks" ]; }
read -r stat < "/proc/$pid/stat" && same ${stat##*') '} || { echo "GONE" >&2; exit 125; }
cd -- "$place" && exec "$@"
"""


def enter_argv(holder: ProcessId, directory: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line that runs `argv` in the namespaces of `holder`, with `directory` as its working directory.

    Every step replaces the one before (exec), so pid, standard streams, signals and exit code are the command's own.
    Exit code 125 with `GONE_WORDS` on standard error: the holder is gone, nothing was run.
    """
    outside = _OUTSIDE.replace("$GONE", GONE_WORDS)
    inside = _INSIDE.replace("GONE", GONE_WORDS)
    return ("/bin/sh", "-c", outside, "maul", inside, str(holder.pid), str(holder.start_ticks), str(directory), *argv)
