from __future__ import annotations

from dataclasses import replace

import pytest

from engines.engine_cache import MAGIC, EngineCache, EngineKey, EngineRefused

KEY = EngineKey("ab" * 32, "TensorRT 11.4.0", "NVIDIA Example 8.9", "580.65", {"level": "3", "batch": "1"})
PAYLOAD = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path / "engines")
    cache.store(KEY, PAYLOAD)
    return cache


def test_what_was_stored_is_found_and_nothing_else_lies_there(cache):
    assert cache.load(KEY) == PAYLOAD
    assert [file.name for file in cache.folder.iterdir()] == [cache.path(KEY).name]


@pytest.mark.parametrize("field", ["model", "runtime", "gpu", "driver"], ids="key-{}".format)
def test_every_part_of_the_key_counts(cache, field):
    other = replace(KEY, **{field: "other"})
    assert cache.load(other) is None
    cache.path(KEY).rename(cache.path(other))  # a file from elsewhere under the right name
    with pytest.raises(EngineRefused, match=f"was built for {field} .*; here is other; it is built anew"):
        cache.load(other)


def test_settings_count_and_their_order_does_not(cache):
    assert cache.load(replace(KEY, settings={"level": "4", "batch": "1"})) is None
    assert cache.load(replace(KEY, settings={"batch": "1", "level": "3"})) == PAYLOAD


def test_a_truncated_file(cache):
    file = cache.path(KEY)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(EngineRefused, match="is truncated: 10140 of 10240 bytes; it is built anew"):
        cache.load(KEY)


def test_a_damaged_file(cache):
    file = cache.path(KEY)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(EngineRefused, match="is damaged"):
        cache.load(KEY)


@pytest.mark.parametrize(
    "data", [b"", b"ftrt\x00\x01", MAGIC, MAGIC + b"[]\n", MAGIC + b'{"key": 3}\n', MAGIC + b"{\n"]
)
def test_a_foreign_file(cache, data):
    cache.path(KEY).write_bytes(data)
    with pytest.raises(EngineRefused, match="is no engine of this program; it is built anew"):
        cache.load(KEY)


def test_a_refused_engine_is_built_anew_and_kept(cache):
    cache.path(KEY).write_bytes(b"nonsense")
    said = []
    assert cache.obtain(KEY, lambda: b"new", said.append) == b"new"
    assert "is no engine of this program" in said[0]
    assert cache.obtain(KEY, lambda: pytest.fail("built twice"), said.append) == b"new"


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = EngineCache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.obtain(KEY, lambda: bytes(1 // 0), print)
    assert not list(tmp_path.iterdir())
