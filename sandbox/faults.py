"""Faults on demand: how likely each is, for all agencies or for one, changeable while running."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sandbox.chance import happens

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "down": "the agency answers 503 and calls nobody, for 0.2 to 1.5 civil days",
        "slow": "a push is taken but answered late, after about --slow-seconds",
        "double": "the outcome is called back twice, at the same moment",
        "lost_callback": "the outcome is never called back; only the next push is told",
        "out_of_order": "the outcome is called back before the push is answered",
        "4xx": "a push is refused with 422, as a contract error",
        "refuses": "a department refuses an item, in any round",
        "late": "the answer comes after due_on has passed",
    }
)
EVERY_AGENCY = "*"


class FaultUnknown(Exception):
    """A fault, agency or probability that does not exist; the message names it."""


class Faults:
    """Probabilities by agency; an agency's own value goes before that of `*`."""

    def __init__(self, seed: int, agencies: Iterable[str]) -> None:
        self._seed = seed
        self._agencies = frozenset(agencies)
        self._settings: dict[str, dict[str, float]] = {}

    @property
    def settings(self) -> Mapping[str, Mapping[str, float]]:
        """What is in force: agency (or `*`) → fault → probability."""
        return self._settings

    def replace(self, settings: object) -> None:
        """Put `settings`, the JSON of `PUT /control/faults`, in place of everything in force.

        Raises:
            FaultUnknown: nothing was changed.
        """
        if not isinstance(settings, dict):
            raise FaultUnknown("faults must be an object: agency or * to {fault: probability}")
        self._settings = {agency: self._of(agency, given) for agency, given in settings.items()}

    def strikes(self, fault: str, agency: str, task_id: str, attempt: int = 0) -> bool:
        """Tell whether `fault` happens to this push; the draw follows from its arguments."""
        if not self._settings:
            return False
        everywhere = self._settings.get(EVERY_AGENCY, {}).get(fault, 0.0)
        probability = self._settings.get(agency, {}).get(fault, everywhere)
        return happens(probability, self._seed, fault, task_id, attempt)

    def _of(self, agency: str, given: object) -> dict[str, float]:
        if agency != EVERY_AGENCY and agency not in self._agencies:
            raise FaultUnknown(f"{agency}: no such agency")
        if not isinstance(given, dict):
            raise FaultUnknown(f"{agency}: must be an object of fault: probability")
        return {fault: _probability(agency, fault, value) for fault, value in given.items()}


def parse_faults(given: Iterable[str]) -> dict[str, dict[str, float]]:
    """Read `down=0.2,water:late=1` as `replace` takes it.

    Raises:
        FaultUnknown: a part has no `=` or no number.
    """
    settings: dict[str, dict[str, float]] = {}
    for part in (part.strip() for text in given for part in text.split(",") if part.strip()):
        name, _, value = part.partition("=")
        agency, _, fault = name.rpartition(":")
        try:
            settings.setdefault(agency or EVERY_AGENCY, {})[fault] = float(value)
        except ValueError:
            raise FaultUnknown(f"{part}: write fault=probability or agency:fault=…") from None
    return settings


def _probability(agency: str, fault: str, value: object) -> float:
    if fault not in FAULTS:
        raise FaultUnknown(f"{agency}: {fault} is not one of {', '.join(FAULTS)}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FaultUnknown(f"{agency}.{fault}: {value!r} is not a probability from 0 to 1")
    return float(value)
