"""Which strings of digits and letters are what they look like: cards, bank accounts, social security numbers, addresses.

Sources: ISO/IEC 7812-1 (check digit; issuer ranges as the card networks publish them), ISO 13616 and the SWIFT registry
(IBAN), the US Social Security Administration's rules for area, group and serial, the IANA special-purpose registries.
"""

import ipaddress

# First and last prefix, and the lengths issued under it.
_ISSUERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    (6011, 6011, (16, 17, 18, 19)), (644, 659, (16, 17, 18, 19)),  # Discover
    (300, 305, (14, 16, 17, 18, 19)), (3095, 3095, (14, 16, 17, 18, 19)), (36, 36, (14, 16, 17, 18, 19)),
    (38, 39, (14, 16, 17, 18, 19)),  # Diners
    (35, 35, (16, 17, 18, 19)), (2131, 2131, (15,)), (1800, 1800, (15,)),  # JCB
    (62, 62, (16, 17, 18, 19)), (81, 81, (16, 17, 18, 19)),  # UnionPay
    (5018, 5018, (13, 14, 15, 16, 17, 18, 19)), (5020, 5020, (13, 14, 15, 16, 17, 18, 19)),
    (5038, 5038, (13, 14, 15, 16, 17, 18, 19)), (5893, 5893, (13, 14, 15, 16, 17, 18, 19)),
    (6304, 6304, (13, 14, 15, 16, 17, 18, 19)), (6759, 6763, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (508, 508, (16,)), (60, 60, (16,)), (82, 82, (16,)),  # RuPay
)  # fmt: skip

_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
"""What the Luhn formula makes of every second digit: twice the digit, less nine if it has two digits."""

_PLAIN = bytes.maketrans(b"0123456789", bytes(range(10)))

# Length by country, of the registry's release 99 and the countries that use the format without being in it.
_IBAN_COUNTRIES = (
    "15:NO 16:BE 18:DK,FI,FO,GL,NL,SD,FK 19:MK,SI 20:AT,BA,EE,KZ,LT,LU,XK,MN 21:CH,HR,LI,LV "
    "22:BG,BH,CR,DE,GB,GE,IE,ME,RS 23:AE,GI,IL,IQ,OM,SO,TL 24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG 25:LY,PT,ST "
    "26:IS,TR 27:BI,DJ,FR,GR,IT,MC,MR,SM 28:AL,AZ,BY,CY,DO,GT,HN,HU,LB,NI,PL,SV 29:BR,EG,PS,QA,UA 30:JO,KW,MU,YE "
    "31:MT,SC 32:LC 33:RU "
)
_IBAN_LENGTHS = {
    country: int(length)
    for length, _, countries in (row.partition(":") for row in _IBAN_COUNTRIES.split())
    for country in countries.split(",")
}

_IN_NUMBERS = {byte: str(int(chr(byte), 36)) for byte in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
"""A letter counts as two digits, from A = 10 to Z = 35."""

_NETWORKS_OF_PEOPLE = tuple(map(ipaddress.IPv6Network, ("2000::/3", "fc00::/7", "fe80::/10", "::ffff:0:0/96")))

_WITHDRAWN = frozenset({b"078051120", b"219099999"})
"""Printed in advertisements, and void since."""


def passes_luhn(digits: bytes) -> bool:
    """Whether the last of ASCII digits is their check digit (ISO/IEC 7812-1, annex B)."""
    return (sum(digits[-1::-2].translate(_PLAIN)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def is_card(digits: bytes) -> bool:
    """Whether 13 to 19 digits are the number of a payment card: issued under a known prefix, and with a true check digit."""
    if not 13 <= len(digits) <= 19 or not passes_luhn(digits):
        return False
    return any(
        first <= int(digits[: len(str(first))]) <= last and len(digits) in lengths for first, last, lengths in _ISSUERS
    )


def iban_length(country: bytes) -> int:
    """Return how long an account number of a country is, or 0 if it has none.  `country` is two letters in upper case."""
    return _IBAN_LENGTHS.get(country.decode(), 0)


def is_iban(account: bytes) -> bool:
    """Whether letters and digits, in upper case and without spaces, are an account number: length and remainder."""
    if len(account) != iban_length(account[:2]):
        return False
    return int("".join(map(_IN_NUMBERS.__getitem__, account[4:] + account[:4]))) % 97 == 1


def is_ssn(digits: bytes) -> bool:
    """Whether nine digits can be a US social security number: area not 000, 666 or 900-999, group not 00, serial not 0000."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in (b"000", b"666")
        and area < b"900"
        and group != b"00"
        and serial != b"0000"
        and digits not in _WITHDRAWN
    )


def is_personal_ipv4(text: bytes) -> bool:
    """Whether a dotted quad is the address of a host, as opposed to a mask, a loopback address or no address at all."""
    try:
        address = ipaddress.IPv4Address(text.decode())
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or int(address) >> 28 == 0xF)


def is_personal_ipv6(text: bytes) -> bool:
    """Whether a text is an IPv6 address of a host: global unicast, unique local, link local or mapped IPv4.

    Outside those ranges stand loopback, multicast, and things that only look alike: `a::b` in a program, eight octets of a
    hardware address.  Eight groups written out are an address whatever the range, if two of them are no octets.
    """
    try:
        address = ipaddress.IPv6Address(text.decode())
    except ValueError:
        return False
    if text.count(b":") == 7 and sum(len(group) > 2 for group in text.split(b":")) >= 2:
        return True
    return any(address in network for network in _NETWORKS_OF_PEOPLE)
