"""Files that attack their reader: none may run code, take more memory than its size allows, or end in another error."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import sys
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from engines.checkpoints.containers import read_content
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.identification import convert
from engines.checkpoints.pickle_data import read_pickle
from engines.checkpoints.values import MAX_INSTRUCTIONS, Budget

CALLS = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("__builtin__", "eval"),
    ("importlib", "import_module"),
    ("operator", "attrgetter"),
    ("functools", "partial"),
    ("types", "CodeType"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
    ("numpy", "load"),
    ("numpy.core.multiarray", "fromfile"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.serialization", "load"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ("torch_utils.persistence", "_src_to_module"),
    ("runpy", "run_path"),
    ("webbrowser", "open"),
]
EVENTS = {"exec", "compile", "import", "open", "os.system", "pickle.find_class", "subprocess.Popen"}
watching = False
heard: list[str] = []


def listen(event: str, _: object) -> None:
    if watching and event in {
        "exec",
        "compile",
        "import",
        "open",
        "os.system",
        "pickle.find_class",
        "subprocess.Popen",
    }:
        heard.append(event)


sys.addaudithook(listen)


@pytest.fixture
def silence():
    """Fails a test in which anything was imported, compiled, executed, opened or unpickled."""
    global watching
    heard.clear()
    watching = True
    yield
    watching = False
    assert heard == []


def refused(content: bytes, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        read_content(content)


def op(name: str) -> bytes:
    return next(o.code for o in pickletools.opcodes if o.name == name).encode("latin1")


def named(module: str, name: str) -> bytes:
    return op("GLOBAL") + f"{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return op("BINUNICODE") + struct.pack("<I", len(value)) + value.encode()


def program(*parts: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + b"".join(parts) + op("STOP")


@pytest.mark.parametrize(("module", "name"), CALLS)
@pytest.mark.parametrize("way", ["GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"])
def test_calls_of_other_names_are_refused_unread(silence, module, name, way):
    arguments = op("MARK") + text("touch /tmp/run") + op("TUPLE")
    if way == "STACK_GLOBAL":
        attack = program(text(module), text(name), op("STACK_GLOBAL"), arguments, op("REDUCE"))
    elif way == "INST":
        attack = program(op("MARK"), text("touch"), op("INST") + f"{module}\n{name}\n".encode())
    elif way == "OBJ":
        attack = program(op("MARK"), named(module, name), text("touch"), op("OBJ"))
    else:
        keywords = op("EMPTY_DICT") if way == "NEWOBJ_EX" else b""
        last = "REDUCE" if way == "GLOBAL" else way
        attack = program(named(module, name), arguments, keywords, op(last))
    refused(attack, "the file asks for .* refused unread, nothing was run")


class Attack:
    def __reduce__(self):
        import os

        return os.system, ("exit 1",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_attack_within_a_checkpoint_is_refused(silence, protocol):
    content = pickle.dumps({"g_ema": OrderedDict(a=1), "latent_avg": Attack()}, protocol)
    refused(content, r"the file asks for '(posix|nt)\.system'")


@pytest.mark.parametrize("zipped", [True, False])
def test_an_attack_in_a_torch_file_is_refused(zipped):
    stream = io.BytesIO()
    torch.save({"g_ema": Attack()}, stream, _use_new_zipfile_serialization=zipped)
    refused(stream.getvalue(), r"the file asks for '(posix|nt)\.system'")


def blob(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def embedded(content: bytes) -> bytes:
    return program(
        named("torch.storage", "_load_from_bytes"),
        op("BINBYTES") + struct.pack("<I", len(content)) + content,
        op("TUPLE1"),
        op("REDUCE"),
    )


def test_an_attack_in_an_embedded_storage_is_refused():
    refused(embedded(blob(Attack())), r"the file asks for '(posix|nt)\.system'")
    refused(embedded(pickle.dumps(Attack())), "an embedded storage is not in torch's legacy container")
    refused(embedded(blob({"a": 1})), "an embedded storage holds a dict")


def test_storages_nested_in_storages_are_refused():
    inner = torch.zeros(2).untyped_storage()

    class Nested:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (blob(inner),)

    refused(embedded(blob(Nested())), "nests a checkpoint in a checkpoint")


def test_one_embedded_storage_cannot_be_multiplied():
    content = blob(torch.zeros(50_000).untyped_storage())
    load = named("torch.storage", "_load_from_bytes") + op("BINPUT") + b"\x00" + op("POP")
    data = (
        op("BINBYTES") + struct.pack("<I", len(content)) + content + op("TUPLE1") + op("BINPUT") + b"\x01" + op("POP")
    )
    call = op("BINGET") + b"\x00" + op("BINGET") + b"\x01" + op("REDUCE") + op("POP")
    refused(program(load, data, call * 10_000, op("NONE")), "together larger than the file")


def test_setting_attributes_is_refused():
    state = op("EMPTY_DICT") + text("__call__") + named("builtins", "set") + op("SETITEM")
    refused(program(named("builtins", "set"), state, op("BUILD")), "sets attributes of a Global; refused")
    refused(program(op("EMPTY_LIST"), state, op("BUILD")), "sets attributes of a list; refused")


def test_names_may_only_be_called_where_that_makes_sense():
    refused(program(named("torch", "FloatStorage"), op("EMPTY_TUPLE"), op("REDUCE")), "which a checkpoint only names")
    refused(program(text("os.system"), op("EMPTY_TUPLE"), op("REDUCE")), "a call of str with tuple")
    refused(program(named("builtins", "bytes"), number(2**40), op("TUPLE1"), op("REDUCE")), "makes bytes in a way")
    keywords = op("EMPTY_DICT") + text("a") + op("NONE") + op("SETITEM")
    call = program(named("collections", "OrderedDict"), op("EMPTY_TUPLE"), keywords, op("NEWOBJ_EX"))
    refused(call, "calls a class with keywords")


def test_instructions_that_checkpoints_do_not_need_are_refused():
    for name, argument in (
        ("EXT1", b"\x01"),
        ("EXT2", b"\x01\x00"),
        ("EXT4", b"\x01\x00\x00\x00"),
        ("NEXT_BUFFER", b""),
    ):
        refused(program(op(name) + argument), f"uses the instruction {name}")
    refused(program(op("PERSID") + b"1\n"), "uses the instruction PERSID")
    refused(program(op("NONE"), op("BINPERSID")), "refers to something outside itself")
    with pytest.raises(CheckpointError, match="refers to something that is not a storage"):
        read_zip_with(program(text("module"), op("TUPLE1"), op("BINPERSID")))


def read_zip_with(data: bytes, members: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED):
    return read_content(zip_of({"a/data.pkl": data, **(members or {})}, compression))


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def number(value: int) -> bytes:
    return op("LONG1") + b"\x09" + value.to_bytes(9, "little", signed=True)


def storage(kind: str = "FloatStorage", key: str = "0", size: int = 4) -> bytes:
    number = op("LONG1") + b"\x09" + size.to_bytes(9, "little", signed=True)
    return (
        op("MARK")
        + text("storage")
        + named("torch", kind)
        + text(key)
        + text("cpu")
        + number
        + op("TUPLE")
        + op("BINPERSID")
    )


def numbers(*values: int) -> bytes:
    return (
        op("MARK")
        + b"".join(op("LONG1") + b"\x09" + v.to_bytes(9, "little", signed=True) for v in values)
        + op("TUPLE")
    )


def tensor(shape: bytes, strides: bytes, offset: int = 0, block: bytes | None = None) -> bytes:
    start = op("LONG1") + b"\x09" + offset.to_bytes(9, "little", signed=True)
    arguments = (
        op("MARK") + (block or storage()) + start + shape + strides + op("NEWFALSE") + op("EMPTY_DICT") + op("TUPLE")
    )
    return program(named("torch._utils", "_rebuild_tensor_v2"), arguments, op("REDUCE"))


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "match"),
    [
        ((5,), (1,), 0, "reaches outside its storage"),
        ((4,), (1,), 1, "reaches outside its storage"),
        ((2, 2), (3, 1), 0, "reaches outside its storage"),
        ((2**40,), (1,), 0, "reaches outside its storage"),
        ((2**62, 2**62), (0, 0), 0, "is larger than its storage"),
        ((100_000,), (0,), 0, "is larger than its storage"),
        ((2,), (-1,), 3, "strides is negative"),
        ((-2,), (1,), 0, "shape is negative"),
        ((2,), (1,), -1, "offset is negative"),
        ((2, 2), (1,), 0, "2 sizes and 1 strides"),
        ((1,) * 9, (1,) * 9, 0, "9 dimensions"),
    ],
)
def test_tensors_that_do_not_lie_in_their_storage_are_refused(shape, strides, offset, match):
    data = tensor(numbers(*shape), numbers(*strides), offset)
    with pytest.raises(CheckpointError, match=match):
        read_zip_with(data, {"a/data/0": bytes(16)})


def test_sizes_that_are_not_numbers_are_refused():
    floats = op("MARK") + op("BINFLOAT") + struct.pack(">d", 2.0) + op("TUPLE")
    for shape, strides in ((floats, numbers(1)), (numbers(1), floats), (text("4"), numbers(1))):
        with pytest.raises(CheckpointError, match="is not a list of whole numbers"):
            read_zip_with(tensor(shape, strides), {"a/data/0": bytes(16)})


def test_storages_of_another_size_or_type_are_refused():
    good = tensor(numbers(4), numbers(1))
    assert read_zip_with(good, {"a/data/0": bytes(16)})[0].array().shape == (4,)
    with pytest.raises(CheckpointError, match="a storage has 15 bytes, wanted 4 x 4"):
        read_zip_with(good, {"a/data/0": bytes(15)})
    with pytest.raises(CheckpointError, match="lacks the storage '0'"):
        read_zip_with(good)
    with pytest.raises(CheckpointError, match="a storage's size is -4"):
        read_zip_with(tensor(numbers(0), numbers(1), block=storage(size=-4)))
    with pytest.raises(CheckpointError, match="which is not among the names"):
        read_zip_with(tensor(numbers(4), numbers(1), block=storage("QuantizedStorage")), {"a/data/0": bytes(16)})
    both = program(storage(), storage(size=8), op("TUPLE2"))
    with pytest.raises(CheckpointError, match="is given two types or sizes"):
        read_zip_with(both, {"a/data/0": bytes(16)})


def test_many_tensors_on_one_storage_cannot_multiply_it():
    one = tensor(numbers(4000), numbers(1), block=storage(size=4000))[2:-1]
    many = program(op("MARK"), one * 3000, op("TUPLE"))
    with pytest.raises(CheckpointError, match="together larger than the file"):
        read_zip_with(many, {"a/data/0": bytes(16000)})


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_bombs_are_refused_unopened(compression):
    with pytest.raises(CheckpointError, match="is compressed, torch stores its members as they are"):
        read_zip_with(program(op("NONE")), {"a/data/0": bytes(30_000_000)}, compression)


def test_overlapping_zip_members_cost_nothing():
    content = bytearray(zip_of({"a/data.pkl": program(op("NONE")), **{f"a/data/{k}": b"" for k in range(2000)}}))
    big = zip_of({"x": bytes(1_000_000)})
    content = bytearray(big) + content  # every member of the directory is pointed at the one large member
    at = content.rfind(b"PK\x05\x06")
    directory = int.from_bytes(content[at + 16 : at + 20], "little") + len(big)
    content[at + 16 : at + 20] = directory.to_bytes(4, "little")
    position, crc = directory, zipfile.ZipFile(io.BytesIO(big)).infolist()[0].CRC
    while content[position : position + 4] == b"PK\x01\x02":
        if int.from_bytes(content[position + 24 : position + 28], "little") == 0:
            content[position + 16 : position + 20] = crc.to_bytes(4, "little")
            content[position + 20 : position + 24] = content[position + 24 : position + 28] = (1_000_000).to_bytes(
                4, "little"
            )
            content[position + 42 : position + 46] = bytes(4)
        else:
            start = int.from_bytes(content[position + 42 : position + 46], "little") + len(big)
            content[position + 42 : position + 46] = start.to_bytes(4, "little")
        position += 46 + int.from_bytes(content[position + 28 : position + 30], "little")
    tracemalloc.start()
    try:
        assert read_content(bytes(content))[0] is None
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content)
    finally:
        tracemalloc.stop()


def test_zip_files_that_are_not_checkpoints_are_refused():
    refused(zip_of({"readme.txt": b"hello"}), "holds 0 members 'data.pkl', wanted 1")
    refused(zip_of({"a/data.pkl": b".", "b/data.pkl": b"."}), "holds 2 members 'data.pkl'")
    refused(zip_of({"a/data.pkl": program(op("NONE")), "a/constants.pkl": b"."}), "TorchScript program")
    refused(zip_of({"a/data.pkl": program(op("NONE")), "a/byteorder": b"big"}), "big-endian")
    refused(b"PK\x03\x04" + bytes(100), "the zip file is truncated or damaged")
    with pytest.warns(UserWarning, match="Duplicate name"):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a/data.pkl", program(op("NONE")))
            archive.writestr("a/data.pkl", program(op("NONE")))
    refused(stream.getvalue(), "names a member twice")


def test_damaged_zip_members_are_found():
    content = bytearray(zip_of({"a/data.pkl": tensor(numbers(4), numbers(1)), "a/data/0": bytes(16)}))
    content[content.index(b"a/data/0") + 10] ^= 1
    refused(bytes(content), "is damaged .its checksum differs.")


def test_huge_lengths_allocate_nothing():
    for data in (
        op("BINBYTES8") + struct.pack("<Q", 2**62),
        op("BINBYTES") + struct.pack("<I", 2**32 - 1),
        op("BINUNICODE8") + struct.pack("<Q", 2**40),
        op("FRAME") + struct.pack("<Q", 2**40) + op("BINBYTES8") + struct.pack("<Q", 2**40),
        op("BYTEARRAY8") + struct.pack("<Q", 2**62),
    ):
        tracemalloc.start()
        refused(program(data), "the pickle is damaged")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()
    memo = program(op("NONE"), op("LONG_BINPUT") + struct.pack("<I", 2**32 - 1))
    assert read_content(memo)[0] is None


def test_huge_numbers_and_programs_are_refused():
    refused(program(op("LONG4") + struct.pack("<i", 100_000) + b"\x7f" * 100_000), "a number of 799999 bits")
    refused(program(op("EMPTY_DICT") * (MAX_INSTRUCTIONS + 1)), f"more than {MAX_INSTRUCTIONS} instructions")


def test_values_that_contain_themselves_are_refused():
    loop = op("EMPTY_LIST") + op("BINPUT") + b"\x00" + op("BINGET") + b"\x00" + op("APPEND")
    refused(program(loop), "contains itself")
    inside = (
        op("EMPTY_DICT") + op("BINPUT") + b"\x00" + text("a") + op("BINGET") + b"\x00" + op("TUPLE1") + op("SETITEM")
    )
    refused(program(inside), "contains itself")
    namespace = named("argparse", "Namespace") + op("EMPTY_TUPLE") + op("REDUCE") + op("BINPUT") + b"\x00"
    refused(
        program(namespace, op("EMPTY_DICT"), text("a"), op("BINGET") + b"\x00", op("SETITEM"), op("BUILD")), "itself"
    )


def test_deep_nesting_and_doubling_are_harmless():
    refused(program(op("EMPTY_LIST") * 20_000, op("APPEND") * 19_999), "nested more than 64 deep")
    refused(program(op("EMPTY_TUPLE"), op("TUPLE1") * 50_000), "nested more than 64 deep")
    double = op("DUP") + op("TUPLE2")
    value, _ = read_content(program(op("EMPTY_TUPLE"), double * 60))  # 2^60 leaves, 60 tuples
    with pytest.raises(CheckpointError, match="not a network that is known here"):
        convert(value)


def test_keys_that_could_be_made_to_collide_are_refused():
    refused(program(op("EMPTY_DICT"), op("EMPTY_TUPLE"), op("NONE"), op("SETITEM")), "uses a tuple as a dictionary key")
    large = op("LONG1") + b"\x10" + b"\x7f" * 16
    refused(program(op("EMPTY_SET"), op("MARK"), large, op("ADDITEMS")), "uses a int as a dictionary key")


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array([(1, 2)], "i4,i4"), np.array([1j])])
def test_arrays_of_other_types_are_refused(array):
    refused(pickle.dumps(array if array.dtype != object else np.array([None])), "wanted plain numbers")


def test_arrays_of_another_size_are_refused():
    content = pickle.dumps(np.arange(1000.0, dtype=np.float32), 4)
    assert read_content(content)[0].array().tolist() == list(range(1000))
    huge = content.replace(b"M\xe8\x03", b"M\xff\xff")  # the shape
    refused(huge, r"a numpy array of shape \[65535\] has 4000 bytes")


def test_other_files_are_refused():
    refused(b"\x89PNG\r\n\x1a\n", "starts with .* neither a torch checkpoint nor a pickle")
    refused(b"<html>404</html>", "starts with '<html>404</html>'")
    refused(b"\x80\x04", "the pickle is damaged")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("e4e.pt"))
    refused(stream.getvalue(), "is a tar archive; unpack it")
    refused(program(), "the pickle is damaged at byte")


@pytest.mark.parametrize("case", ["zip", "legacy", "pickle"])
def test_truncated_files_are_refused(golden, case):
    if case == "pickle":
        golden_case = golden("nv-tf-legacy-32")
        content = golden_case.path("stylegan2-tf.pkl").read_bytes()
    else:
        stream = io.BytesIO()
        value = {"g_ema": {"a": torch.ones(50, 3), "b": torch.ones(7, dtype=torch.int64)}, "latent_avg": torch.ones(3)}
        torch.save(value, stream, _use_new_zipfile_serialization=case == "zip")
        content = stream.getvalue()
    assert read_content(content)
    for length in {*range(1, 40), *range(40, len(content), max(len(content) // 60, 1)), len(content) - 1}:
        with pytest.raises(CheckpointError):
            read_content(content[:length])


def test_memory_stays_within_a_multiple_of_the_file():
    attacks = [
        program(op("EMPTY_DICT") * 60_000),
        program(op("NONE"), (op("MEMOIZE") + op("DUP")) * 30_000),
        program(op("MARK") * 60_000),
        program(text("x" * 1000) * 1000),
        program(op("EMPTY_LIST"), (op("DUP") + op("APPEND")) * 1000),
    ]
    for content in attacks:
        tracemalloc.start()
        with pytest.raises(CheckpointError):
            read_content(content + b"!")
            raise CheckpointError("read")  # some of these are sound values
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 300 * len(content) + 1_000_000


def test_reading_real_files_runs_nothing(golden, silence):
    cases = [golden(name) for name in ("rosinality-64", "nv-ada-skip-64", "nv-tf-legacy-32", "e4e-small-64")]
    files = [path.read_bytes() for case in cases for path in case.folder.glob("*.p[tk]*")]
    heard.clear()  # opening the cases
    for content in files:
        convert(read_content(content)[0])
    assert heard == []


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_read_in_every_protocol(protocol):
    value = {"a": [1, 2.5, "b", None, True, (1, 2), -(2**40)], 3: [{}, (), "ü", "x" * 300]}
    assert read_pickle(io.BytesIO(pickle.dumps(value, protocol)), {}, Budget()) == value


def test_sets_and_bytes_are_read_in_every_protocol():
    value = [{"x", 1}, frozenset([2]), b"raw", b"", OrderedDict(a=1)]
    for protocol in range(2, 6):
        assert read_content(pickle.dumps(value, protocol))[0] == [{"x", 1}, {2}, b"raw", b"", {"a": 1}]
