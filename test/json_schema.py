#!/usr/bin/env python3
"""Validates standard input against a JSON Schema: exit code 0 without output, or 1 with the problems.

  json_schema.py SCHEMA
"""
import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
problems = [f"{'/'.join(map(str, problem.path))}: {problem.message}"
            for problem in jsonschema.Draft202012Validator(schema).iter_errors(json.load(sys.stdin))]
print("\n".join(problems), end="")
sys.exit(1 if problems else 0)
