"""The option that names the file of trusted approvers."""

TRUST_HELP = "Whose signatures under permits count. Default: trust.yaml in maul's state."
