"""YAML with limits on length, size and numbers."""

from collections import Counter
from typing import Any

import yaml

from poseact._utils.boundary import reason_of, require_bounded

# Parsing a million characters takes ten seconds.
_LONGEST = 2**18
_MOST_VALUES = 10**5
_LARGEST = 2**53


def parse_yaml(text: str) -> Any:
    """The values of a YAML text.

    Raises:
        ValueError: It is no YAML, too long, has a name twice in one place, expands to too many
            values, or holds a whole number beyond 2^53.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it has {len(text):,} characters, more than {_LONGEST:,}")
    try:
        content = yaml.load(text, _Loader)
    except Exception as error:
        raise ValueError(reason_of(error)) from error
    require_bounded(content, _MOST_VALUES)
    return content


class _Loader(yaml.SafeLoader):
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"{repeated[0]} occurs twice")
        super().flatten_mapping(node)
        # Mappings that merge others may grow tenfold with every line.
        if len(node.value) > _MOST_VALUES:
            raise ValueError(f"a mapping expands to more than {_MOST_VALUES:,} values")

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value = super().construct_yaml_int(node)
        if abs(value) > _LARGEST:
            raise ValueError("it holds a whole number beyond 2^53")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
