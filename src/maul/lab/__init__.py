"""A real S3 cluster to beat: SeaweedFS behind HAProxy with TLS, on this machine's loopback, without
privileges.

Takes: a name, a directory.
Gives: `up` → `Lab` (its `site.yaml`, its endpoints), `status`, `down`, `embedded` (a lab that dies with
    maul). Never: listens or speaks outside 127.0.0.0/8, ends a process it did not start, removes a file it
    did not make,
    puts a secret on a command line, prints.
Start reading at: `layout.py` (what runs where, pure), then `cluster.py` (bring-up and take-down).
Add one by: a role in `layout.services`, its health in `health.py`.
"""
