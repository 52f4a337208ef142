"""What this project uses of TensorRT's Python bindings, off a wheel of them: ``python -m tools.tensorrt_api WHEEL``

The bindings load without TensorRT's libraries when others of the same names stand in; nothing of them can be run, but
every name, argument and enumeration can be looked at. Wants a wheel for the running Python, a C compiler and binutils.
Prints JSON, as ``tests/engines/tensorrt_api`` keeps it: pip download --no-deps tensorrt-cu13-bindings
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

USED = {
    "Logger": ["__init__"],
    "Builder": ["__init__", "create_network", "create_builder_config", "build_serialized_network"],
    "OnnxParser": ["__init__", "parse", "get_error", "num_errors"],
    "IBuilderConfig": [
        "set_memory_pool_limit", "builder_optimization_level", "progress_monitor", "create_timing_cache",
        "set_timing_cache", "get_timing_cache",
    ],
    "ITimingCache": ["serialize"],
    "IProgressMonitor": ["phase_start", "phase_finish", "step_complete"],
    "Runtime": ["__init__", "deserialize_cuda_engine"],
    "ICudaEngine": [
        "create_execution_context", "num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_shape",
        "get_tensor_dtype",
    ],
    "IExecutionContext": ["set_tensor_address", "execute_async_v3"],
}  # fmt: skip
ENUMS = ["NetworkDefinitionCreationFlag", "MemoryPoolType", "TensorIOMode", "DataType"]


def arguments(member: Any) -> str | list[list[str]]:
    """The argument names of every overload, those with a default marked by =; or what kind of property it is."""
    if isinstance(member, property):
        return "property" + ("" if member.fset is None else ", settable")
    found = []
    for line in member.__doc__.splitlines():
        called = re.match(r"\s*(?:\d+\. )?\w+\((.*)\) -> ", line)
        if called and not called[1].startswith("*args"):
            given = re.sub(r"\[[^\]]*\]", "", called[1]).split(",")
            found.append([name.split(":")[0].strip() + ("=" if "=" in name else "") for name in given])
    return found


def stand_in_libraries(bindings: Path, folder: Path) -> None:
    """Libraries with the functions that the bindings want of TensorRT's, which do nothing."""
    wanted = subprocess.run(["nm", "-D", "--undefined-only", str(bindings)], capture_output=True, text=True, check=True)
    names = re.findall(r"U (\w*(?:_INTERNAL|PluginRegistry|ParserVersion|InferPlugins))\n", wanted.stdout)
    source = folder / "nothing.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in names))
    needed = subprocess.run(["readelf", "-d", str(bindings)], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"\[(libnv\S+)\]", needed):
        made = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", str(folder / library), str(source)]
        subprocess.run(made, check=True)


def surface() -> dict[str, Any]:
    """What is used of the bindings that can be imported."""
    import tensorrt_bindings as trt  # type: ignore[import-not-found]

    classes = {
        name: {member: arguments(getattr(getattr(trt, name), member)) for member in members}
        for name, members in USED.items()
    }
    enums = {name: sorted(getattr(trt, name).__members__) for name in ENUMS}
    enums["Logger.Severity"] = sorted(trt.Logger.Severity.__members__)
    return {"version": trt.__version__, "classes": classes, "enums": enums}


def main() -> None:
    """Command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).exists():
        raise SystemExit("wanted a wheel: python -m tools.tensorrt_api tensorrt_cu13_bindings-VERSION.whl")
    if Path(sys.argv[1]).is_dir():  # the second time, where the libraries are found
        sys.path.insert(0, sys.argv[1])
        print(json.dumps(surface(), indent=1))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(sys.argv[1]).extractall(folder)
        stand_in_libraries(folder / "tensorrt_bindings" / "tensorrt.so", folder)
        again = [sys.executable, "-m", "tools.tensorrt_api", name]
        subprocess.run(again, check=True, env={**os.environ, "LD_LIBRARY_PATH": name})


if __name__ == "__main__":
    main()
