"""All laws, by name."""

from tests.properties.company import COMPANY
from tests.properties.conduct import CONDUCT
from tests.properties.conflicts import the_last_announcement_is_the_holders
from tests.properties.guarding import GUARDING
from tests.properties.muting import no_second_holder_while_broadcast_passes
from tests.properties.own_addresses import OWN_ADDRESSES
from tests.properties.passwords import a_change_of_password_loses_no_advert
from tests.properties.scripts import acquire_and_release_alternate
from tests.properties.settling import SETTLING

LAWS = {
    law.name: law
    for law in (
        *SETTLING,
        *COMPANY,
        acquire_and_release_alternate,
        the_last_announcement_is_the_holders,
        *CONDUCT,
        *GUARDING,
        a_change_of_password_loses_no_advert,
        *OWN_ADDRESSES,
        no_second_holder_while_broadcast_passes,
    )
}
