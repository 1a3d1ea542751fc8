"""The one text that BCC gets."""

from nodemesh.datapath.compiler import amalgamate


def test_own_headers_are_put_in_once_and_lines_keep_their_places(tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "types.h").write_text("#pragma once\nstruct a {};\n")
    (tmp_path / "include" / "maps.h").write_text('#pragma once\n#include "types.h"\nint maps;\n')
    (tmp_path / "one.bpf.c").write_text('#include <uapi/linux/bpf.h>\n#include "include/maps.h"\nint one;\n')
    (tmp_path / "two.bpf.c").write_text('#include "include/types.h"\nint two;\n')
    lines = amalgamate([tmp_path / "one.bpf.c", tmp_path / "two.bpf.c"]).splitlines()
    assert lines == [
        f'#line 1 "{tmp_path}/one.bpf.c"',
        "#include <uapi/linux/bpf.h>",
        f'#line 1 "{tmp_path}/include/maps.h"',
        "",
        f'#line 1 "{tmp_path}/include/types.h"',
        "",
        "struct a {};",
        f'#line 3 "{tmp_path}/include/maps.h"',
        "int maps;",
        f'#line 3 "{tmp_path}/one.bpf.c"',
        "int one;",
        f'#line 1 "{tmp_path}/two.bpf.c"',
        f'#line 2 "{tmp_path}/two.bpf.c"',
        "int two;",
    ]
