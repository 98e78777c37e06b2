from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.layers import Layer, flatten, merge, nest

KEYS = st.text("abc", min_size=1, max_size=3)
TREES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=8,
)
TABLES = st.dictionaries(KEYS, TREES, max_size=4)


@given(TABLES)
def test_nesting_undoes_flattening(tables: dict[str, object]) -> None:
    assert nest(flatten(tables)) == tables


@given(st.lists(st.dictionaries(KEYS, st.integers(), max_size=4), max_size=4))
def test_the_last_layer_that_has_a_key_wins_it(tables: list[dict[str, int]]) -> None:
    layers = [
        Layer(values=table, sources=dict.fromkeys(table, str(index)))
        for index, table in enumerate(tables)
    ]
    merged = merge(layers)
    for key in {key for table in tables for key in table}:
        last = max(index for index, table in enumerate(tables) if key in table)
        assert merged.values[key] == tables[last][key]
        assert merged.sources[key] == str(last)
    assert merged.values.keys() == merged.sources.keys()
