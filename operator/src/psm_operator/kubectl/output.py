"""How objects and words leave the plugin: json, yaml, names, and colour where a terminal takes it."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from psm_operator.kubectl.models import RESOURCE, name_of, without_noise
from psm_operator.kubectl.plain import Manifest

GREEN, YELLOW, RED = 32, 33, 31

COLORS: Final = {
    **dict.fromkeys(("True", "Ready", "Promoted", "Pass", "pass"), GREEN),
    **dict.fromkeys(("Pending", "Verifying", "Progressing", "Soaking", "RollingBack", "Suspended", "Unknown"), YELLOW),
    **dict.fromkeys(("unknown", "Inconclusive", "wait", "Superseded"), YELLOW),
    **dict.fromkeys(("False", "Blocked", "Degraded", "Rejected", "RolledBack", "Fail", "Error", "fail"), RED),
}
"""Words that are told apart at a glance."""

_FLOAT_OF_YAML_1_2: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
"""YAML 1.2.2, 10.3.2."""


def colored(text: str, word: str, *, has_color: bool) -> str:
    """`text` in the colour of `word`; as it is where there is none."""
    code = COLORS.get(word)
    return f"\033[{code}m{text}\033[0m" if has_color and code is not None else text


def paint(line: str, words: Sequence[str], *, has_color: bool) -> str:
    """A line of a table with the first occurrence of each of its telling words in colour."""
    if not has_color:
        return line
    for word in words:
        if word in COLORS:
            line = line.replace(word, colored(word, word, has_color=True), 1)
    return line


def objects(models: Sequence[Manifest], form: str, *, is_list: bool) -> str:
    """Models as kubectl prints them with `-o json|yaml|name`."""
    if form == "name":
        return "\n".join(f"{RESOURCE}/{name_of(model)}" for model in models)
    clean = [without_noise(model) for model in models]
    if not is_list and len(clean) == 1:
        return document(clean[0], form)
    return document({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": clean}, form)


def document(value: Any, form: str) -> str:
    """A value as json or yaml, without a newline at its end."""
    if form == "json":
        return json.dumps(value, indent=4, ensure_ascii=False)
    return yaml_of(value).removesuffix("\n")


def yaml_of(value: Any) -> str:
    """A value as YAML that kubectl reads back as it was: it takes 12e34 for a number, PyYAML does not."""
    import yaml  # noqa: PLC0415  # only when asked for

    class Dumper(yaml.SafeDumper):
        """Quotes text that is a number by YAML 1.2 and none by YAML 1.1."""

    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT_OF_YAML_1_2, list("-+.0123456789"))
    text: str = yaml.dump(value, Dumper=Dumper, sort_keys=True, allow_unicode=True, width=1000)
    return text
