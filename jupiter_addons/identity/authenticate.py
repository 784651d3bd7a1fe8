"""From a presented key to a principal.

The answer never says what was wrong with a key, and an unknown id costs the same comparison as a wrong secret.
"""

from collections.abc import Mapping

from jupiter_addons.errors import Refusal
from jupiter_addons.identity.credentials import INVALID, Presented
from jupiter_addons.identity.keys import KeyRecord, id_of, matches
from jupiter_addons.identity.principals import Principal, Profile

_NOBODY = KeyRecord("", b"\0" * 32, "", 0, revoked_s=0)
_STRANGER = Profile()


def authenticate(
    given: Presented, keys: Mapping[str, KeyRecord], directory: Mapping[str, Profile], now_s: float
) -> Principal | Refusal:
    """Return who presented the key, or `invalid_key`.  A user the directory does not know has no team and no attributes."""
    record = keys.get(id_of(given.key) or "", _NOBODY)
    if not matches(record, given.key) or not record.is_active(now_s):
        return INVALID
    if given.claimed_user is not None and given.claimed_user != record.user:
        return INVALID
    profile = directory.get(record.user, _STRANGER)
    return Principal(record.user, record.id, profile.team, profile.roles, profile.attributes)


def still_valid(key_id: str, keys: Mapping[str, KeyRecord], now_s: float) -> Refusal | None:
    """Return `invalid_key` if a key that was shown earlier is good no longer: revoked, expired or gone."""
    record = keys.get(key_id)
    return None if record is not None and record.is_active(now_s) else INVALID
