"""What a person wants to know of a certificate."""

from dataclasses import dataclass

from cryptography import x509

_NAMES_MAX = 5


@dataclass(frozen=True, slots=True)
class Certificate:
    """For whom it is (DNS names and addresses), who issued it, and when it holds (Unix nanoseconds)."""

    names: tuple[str, ...]
    issuer: str
    self_signed: bool
    not_before_ns: int
    not_after_ns: int

    @classmethod
    def parse(cls, der: bytes) -> "Certificate":
        """Raises ValueError for what is not a certificate."""
        parsed = x509.load_der_x509_certificate(der)
        try:
            names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            listed: list[str] = []
        else:
            listed = [
                *names.get_values_for_type(x509.DNSName),
                *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
            ]
        return cls(
            names=tuple(listed),
            issuer=parsed.issuer.rfc4514_string() or "nobody",
            self_signed=parsed.issuer == parsed.subject,
            not_before_ns=int(parsed.not_valid_before_utc.timestamp()) * 1_000_000_000,
            not_after_ns=int(parsed.not_valid_after_utc.timestamp()) * 1_000_000_000,
        )

    def names_text(self) -> str:
        """The names, the first few."""
        if not self.names:
            return "no name at all"
        more = f" and {len(self.names) - _NAMES_MAX} more" if len(self.names) > _NAMES_MAX else ""
        return ", ".join(self.names[:_NAMES_MAX]) + more
