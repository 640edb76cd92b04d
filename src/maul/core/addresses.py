"""Addresses as URLs and sites name them."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine, by its address or the one name that is.

    >>> is_loopback("127.0.3.1"), is_loopback("localhost"), is_loopback("10.0.0.1"), is_loopback("s3.example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
