"""What all experiments share: a declaration of the cases, and one command that runs
those of them that are missing."""

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ._arguments import seed_number
from ._results import Results


class Option(NamedTuple):
    """A field of a case that the command line sets: one value, or several.

    `name` is the field in a line of JSON and the option of the command line. A value
    is one of the `choices`, or what `read` makes of an argument, which raises an
    `argparse.ArgumentTypeError` in words. Without a `default`, which is a tuple of
    values, the option has to be given.
    """

    name: str
    default: tuple | None = None
    choices: Iterable[str] | None = None
    read: Callable[[str], Any] = str
    help: str | None = None


SEED = Option("seed", (0,), read=seed_number)


class Experiment(NamedTuple):
    """An experiment: its cases are all combinations of the values of its `options`.

    `line` takes a case, by field, and returns the rest of its line of JSON. Where more
    fields follow from the options, `point` are their names and `points` a function
    from a combination, by field, to their values, one tuple for each case.
    """

    options: tuple[Option, ...]
    line: Callable[..., dict[str, Any]]
    point: tuple[str, ...] = ()
    points: Callable[..., Iterable[tuple]] = lambda **options: [()]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(option.name for option in self.options)

    @property
    def case(self) -> tuple[str, ...]:
        """The fields that tell lines apart, and that each of them begins with."""
        return self.names + self.point

    def cases(self, values: dict[str, Sequence]) -> Iterator[tuple]:
        """The cases of these values of the options."""
        for each in itertools.product(*(values[name] for name in self.names)):
            for point in self.points(**dict(zip(self.names, each, strict=True))):
                yield (*each, *point)


def run(
    experiment: Experiment, doc: str | None, arguments: Sequence[str] | None = None
) -> None:
    """Runs the cases that `arguments`, or those of the command line, ask for. With
    `--output` lines are appended to a file, and cases that it has are not run again."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option in experiment.options:
        parser.add_argument(
            f"--{option.name}",
            nargs="+",
            default=option.default,
            required=option.default is None,
            choices=option.choices,
            type=option.read,
            help=option.help,
        )
    parser.add_argument("--output", help="a file of JSON lines, to go on from")
    given = vars(parser.parse_args(arguments))
    results = Results(given.pop("output"), experiment.case)
    for case in results.todo(experiment.cases(given)):
        results.write(**case, **experiment.line(**case))
