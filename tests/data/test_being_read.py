"""The sources that are being read are named while they are read, for the work that follows them alone."""

from __future__ import annotations

import contextvars

from sigc.data.being_read import SourceReads, being_read


def test_sources_are_named_while_they_are_read() -> None:
    reads, other = SourceReads(), SourceReads()

    def work() -> None:
        reads.follow()
        with being_read("prices", "data/prices.parquet"):
            assert str(reads) == "prices (prices.parquet)"
            with being_read("sectors", "/srv/sectors.csv"):
                assert str(reads) == "prices (prices.parquet), sectors (sectors.csv)"
            assert str(reads) == "prices (prices.parquet)"

    contextvars.copy_context().run(work)
    assert (str(reads), str(other)) == ("", "")
    with being_read("prices", "data/prices.parquet"):  # nobody follows it here
        assert str(reads) == ""


def test_an_error_takes_the_source_off_again() -> None:
    reads = SourceReads()

    def work() -> None:
        reads.follow()
        try:
            with being_read("prices", "data/prices.parquet"):
                raise OSError
        except OSError:
            assert str(reads) == ""

    contextvars.copy_context().run(work)


def test_a_key_in_an_address_is_not_told() -> None:
    reads = SourceReads()

    def work() -> None:
        reads.follow()
        with being_read("prices", "https://ann:hunter22@host/prices.csv?sig=hunter23"):
            assert str(reads) == "prices (prices.csv)"

    contextvars.copy_context().run(work)
