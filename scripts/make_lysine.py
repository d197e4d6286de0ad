"""Makes rgen/datasets/_data/lysine.npz out of a file of the Top8000 data.

    python scripts/make_lysine.py rota8000-lys.csv

The file is Top8000/Top8000_filtered_residues_rotarama/srcdata/rota8000-lys.csv of
https://github.com/rlabduke/reference_data, commit
cbe300663a2bb55015cf9e9978c720cb12dbf52f. Keeps the six torsion angles, in (-180, 180],
as integers, in hundredths of a degree, and a number for the chain of each residue.
Writes the same bytes at every run.
"""

import argparse
import hashlib
import pathlib

import numpy as np

from rgen.datasets._side_chains import read_top8000


SHA256 = "cbd814e6eea436adbfeb50e20eb6a0cd4d1eb1e32c37fc709c5212b57d29fa3c"
OUT = pathlib.Path(__file__).parents[1] / "rgen/datasets/_data/lysine.npz"


def write(degrees: np.ndarray, chains: np.ndarray) -> None:
    turned = degrees - 360 * np.round(degrees / 360)
    hundredths = np.rint(100 * turned).astype(np.int16)
    # One angle after the other: columns compress better than rows.
    np.savez_compressed(
        OUT, hundredths=np.asfortranarray(hundredths), chains=chains.astype(np.uint16)
    )
    print(f"{OUT}: {len(chains)} residues, {OUT.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    path = parser.parse_args().file
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit("this is not rota8000-lys.csv of that commit")
    write(*read_top8000(path, 6))


if __name__ == "__main__":
    main()
