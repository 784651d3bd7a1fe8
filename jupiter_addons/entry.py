"""What `mitmdump -s` and `mitmweb -s` load: `mitmdump -s "$(jupiter entry)" --set jupiter_config=jupiter.yaml`.

mitmproxy runs this file again whenever it changes.  Everything that must outlive that is in the package, which Python
keeps; the guard, once installed, refuses all traffic while no chain is in place.
"""

from jupiter_addons.service import ScriptAddon

addons = [ScriptAddon()]
