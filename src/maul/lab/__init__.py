"""A real S3 cluster to beat: SeaweedFS behind HAProxy with TLS, without privileges, on this machine's loopback or on a
network of its own in namespaces.

Takes: a name, a directory; for a network its `Wiring`.
Gives: `up` → `Lab` (its `site.yaml`, its endpoints), `status`, `down`, `embedded` (a lab that dies with maul);
    `LabNetwork` (counters, rates, cuts), `lab_host` and `become_in_host` (a command in a host of the lab).
Never: listens or speaks outside 127.0.0.0/8 and its own namespaces, ends a process it did not start or that does not
    live in its namespaces, removes a file it did not make, puts a secret on a command line, prints.
Start reading at: `layout.py` (what runs where, pure), then `cluster.py` (bring-up and take-down); for the network
    `wiring.py` (pure), then `net_build.py`.
Add one by: a role in `layout.services`, its health in `health.py`; a host in `Wiring.hosts`.
"""
