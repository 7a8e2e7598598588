#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pages say exists: tests that docs/threats.md names, files that pages link to, make targets that README shows."""
import glob
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


class Docs(unittest.TestCase):
    def test_tests_that_threats_names_exist(self):
        tests = {os.path.basename(p): p for p in glob.glob(f"{ROOT}/tests/*/test_*.py")}
        named = re.findall(r"`(?:\w+/)?(test_\w+\.py)(?:: (test_\w+))?`", read("docs/threats.md"))
        self.assertGreater(len(named), 40)
        for file, function in named:
            with self.subTest(f"{file}: {function}"):
                self.assertIn(file, tests)
                if function:
                    self.assertIn(f"def {function}(", read(tests[file]))

    def test_test_files_are_listed_in_their_readme(self):
        text = read("tests/README.md")
        for path in glob.glob(f"{ROOT}/tests/integration/test_*.py"):
            self.assertIn(f"`{os.path.basename(path)}`", text)

    def test_scripts_that_the_makefile_calls_exist(self):
        for path in re.findall(r"(?<![\w/$(.])((?:tests|chaos|ca|haproxy|\.ci)/[\w./-]+\.(?:sh|py))", read("Makefile")):
            with self.subTest(path):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)))

    def test_links_lead_to_files(self):
        for page in ["README.md", "CHANGELOG.md", "tests/README.md", *(os.path.relpath(p, ROOT) for p in glob.glob(f"{ROOT}/docs/*.md"))]:
            for target in re.findall(r"\]\((?!https?:)([^)#]+)", read(page)):
                with self.subTest(f"{page}: {target}"):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, os.path.dirname(page), target)))

    def test_make_targets_that_pages_show_exist(self):
        for page in ("README.md", "tests/README.md"):
            for target in set(re.findall(r"`make (\w+)|^make (\w+)", read(page), re.M)):
                target = "".join(target)
                with self.subTest(f"{page}: make {target}"):
                    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
                    self.assertNotIn("No rule", done.stderr)


if __name__ == "__main__":
    unittest.main()
