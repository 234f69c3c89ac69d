"""All laws, by name."""

from tests.properties.conduct import CONDUCT
from tests.properties.scripts import acquire_and_release_alternate
from tests.properties.settling import SETTLING

LAWS = {law.name: law for law in (*SETTLING, acquire_and_release_alternate, *CONDUCT)}
