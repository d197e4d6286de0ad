"""The check of every annotation, public or not, that the tests run under."""

from beartype import BeartypeConf, beartype


check = beartype(conf=BeartypeConf(is_pep484_tower=True))
