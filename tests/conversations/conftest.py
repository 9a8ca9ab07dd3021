"""What tests of conversations are given: an empty store of each kind."""

from tests.journal.conftest import address as address
from tests.journal.conftest import server as server
