import subprocess
import sys

#: With a soft limit as systemd and shells set it; what a child has then.
CODE = """
import resource, subprocess, sys
from nodemesh.node.descriptors import raise_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
print(hard, raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE), flush=True)
subprocess.run([sys.executable, '-c', 'import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))'])
"""


def test_a_process_and_its_children_have_all_descriptors_that_the_operator_allows():
    said = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True).stdout.split()
    assert len(said) == 6 and len(set(said)) == 1
